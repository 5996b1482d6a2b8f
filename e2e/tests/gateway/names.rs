//! Services whose names lead to whoever is there just now, as in Kubernetes: a nameserver tells the gateway where they are.

use crate::bare::{line, tells_what_it_is_sent};
use e2e::{Gateway, Place, Site, eventually};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;

/// The addresses that every name has.
type Addresses = Arc<Mutex<Vec<Ipv4Addr>>>;

/// A nameserver (RFC 1035) that knows the addresses of IPv4 alone.
async fn nameserver(addresses: Addresses) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            let addresses = addresses.lock().unwrap().clone();
            if let Some(answer) = answer(&question[..length], &addresses) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    addr
}

/// The answer to a message with one question; nothing to what is none.
fn answer(message: &[u8], addresses: &[Ipv4Addr]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const A: [u8; 2] = [0, 1];
    let (id, name) = (message.get(..2)?, message.get(HEADER..)?);
    let end = HEADER + name.iter().position(|byte| *byte == 0)? + 1;
    let question = message.get(HEADER..end + 4)?;
    let addresses = if question.ends_with(&[A, A].concat()) { addresses } else { &[] };
    // An answer without an error to one question, with so many records.
    let mut answer = [id, &[0x81, 0x80, 0, 1, 0, u8::try_from(addresses.len()).ok()?, 0, 0, 0, 0]].concat();
    answer.extend_from_slice(question);
    for address in addresses {
        // The name of the question, type A, class IN, for one second, four bytes.
        answer.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend_from_slice(&address.octets());
    }
    Some(answer)
}

/// Two services at the same port of two addresses.
async fn two_services() -> (u16, [Ipv4Addr; 2]) {
    let addresses = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
    loop {
        let first = tells_what_it_is_sent(&format!("{}:0", addresses[0])).await.unwrap();
        if tells_what_it_is_sent(&format!("{}:{}", addresses[1], first.port())).await.is_some() {
            return (first.port(), addresses);
        }
    }
}

/// Which service answers.
async fn who(site: &Site) -> Result<String, String> {
    let answer = site.try_get("/books/1").await?;
    if answer.status == 200 { Ok(line(&answer.text, "at").to_owned()) } else { Err(answer.text) }
}

#[tokio::test]
async fn services_are_found_by_their_name_and_come_and_go() {
    let (port, [first, second]) = two_services().await;
    let at = |address: Ipv4Addr| format!("{address}:{port}");
    let there = Addresses::default();
    let settings = [
        ("GATEWAY_NAMESERVER", nameserver(Arc::clone(&there)).await.to_string()),
        ("COMMAND_API", format!("command-api.test:{port}")),
        ("QUERY_API", format!("query-api.test:{port}")),
    ];
    let nobody = [SocketAddr::from((Ipv4Addr::LOCALHOST, 9)); 2];
    let place = Arc::new(Place::new());
    let gateway = Gateway::start(&place, nobody, nobody, &settings).await;
    let site = gateway.site();
    site.get("/books/1").await.problem(503, "no-service-available");

    *there.lock().unwrap() = vec![first];
    gateway.ready().await;
    assert_eq!(who(&site).await, Ok(at(first)));
    let booked = site.post("/books/1/warehousings", &serde_json::json!({"qty": 1})).await;
    assert_eq!(line(&booked.text, "at"), at(first), "{booked:?}");

    there.lock().unwrap().push(second);
    eventually("the second one answers, too", async || {
        let answered = who(&site).await?;
        if answered == at(second) { Ok(()) } else { Err(answered) }
    })
    .await;
    there.lock().unwrap().remove(0);
    eventually("the first one is asked no more", async || {
        for _ in 0..10 {
            let answered = who(&site).await?;
            if answered != at(second) {
                return Err(answered);
            }
        }
        Ok(())
    })
    .await;
}
