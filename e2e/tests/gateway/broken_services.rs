//! What the gateway does when a service breaks off in the middle, and that it passes on what comes while it comes.
//! The services here are bare sockets: ours do not break off when told to.

use crate::bare::{head, tells_what_it_is_sent};
use e2e::{Gateway, Place};
use reqwest::Method;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// A service that is healthy when asked, and hangs up on whatever else it is sent, after it has counted it.
async fn hangs_up() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, sent) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let head = head(&mut stream).await.unwrap_or_default();
                if head.starts_with("GET /readyz") || head.starts_with("GET /livez") {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                } else if !head.is_empty() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    (addr, sent)
}

#[tokio::test]
async fn what_was_sent_is_sent_again_only_if_that_changes_nothing() {
    let place = Arc::new(Place::new());
    let ((first, at_first), (second, at_second)) = (hangs_up().await, hangs_up().await);
    let gateway = Gateway::start(&place, [first, second], [first, second], &[]).await;
    let sent = || at_first.load(Ordering::Relaxed) + at_second.load(Ordering::Relaxed);

    for book in 1..=10 {
        let before = sent();
        let path = format!("/books/{book}/warehousings");
        // Each on a connection of its own.
        let lost = gateway.site().send(Method::POST, &path, &JSON, r#"{"qty":1}"#).await;
        let told = lost.problem(502, "answer-lost");
        assert!(told["detail"].as_str().unwrap().contains("Idempotency-Key"), "{told}");
        assert_eq!(sent() - before, 1, "a command without a key was sent more than once");
    }
    let before = (at_first.load(Ordering::Relaxed), at_second.load(Ordering::Relaxed));
    let keyed = [JSON[0], ("idempotency-key", "delivery-7")];
    let lost = gateway.site().send(Method::POST, "/books/1/warehousings", &keyed, r#"{"qty":1}"#).await;
    lost.problem(502, "answer-lost");
    assert!(
        at_first.load(Ordering::Relaxed) > before.0,
        "a command with a key was not tried at the first one"
    );
    assert!(
        at_second.load(Ordering::Relaxed) > before.1,
        "a command with a key was not tried at the second one"
    );
    let korean = [JSON[0], ("accept-language", "ko")];
    let lost = gateway.site().send(Method::POST, "/books/1/warehousings", &korean, r#"{"qty":1}"#).await;
    let told = lost.problem(502, "answer-lost");
    assert!(told["detail"].as_str().unwrap().contains("같은 Idempotency-Key 로"), "{told}");
    let before = sent();
    assert_eq!(gateway.site().get("/books/1").await.status, 502);
    assert!(sent() - before > 1, "a query was not tried again");
}

#[tokio::test]
async fn a_batch_is_answered_line_by_line_while_it_comes_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = listener.local_addr().unwrap();
    // Answers each chunk with a chunk, as soon as it is there.
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let head = head(&mut stream).await.unwrap_or_default();
                if !head.starts_with("POST /warehousings") {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                    return;
                }
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(head).await.unwrap();
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    if line.contains("row") {
                        let answer = format!("seen {}", line.trim());
                        let chunk = format!("{:x}\r\n{answer}\n\r\n", answer.len() + 1);
                        stream.write_all(chunk.as_bytes()).await.unwrap();
                    }
                    line.clear();
                }
            });
        }
    });
    let place = Arc::new(Place::new());
    let gateway = Gateway::start(&place, [service; 2], [service; 2], &[]).await;

    let mut client = BufReader::new(TcpStream::connect(gateway.listen()).await.unwrap());
    let head = "POST /warehousings HTTP/1.1\r\nhost: books\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    for row in 0..20 {
        let line = format!("row {row}\n");
        client.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await.unwrap();
        let wanted = format!("seen row {row}");
        let mut answer = String::new();
        // The next row is not sent before this one is answered: whoever buffers waits for ever.
        while !answer.contains(&wanted) {
            answer.clear();
            let reading = client.read_line(&mut answer);
            let read =
                tokio::time::timeout(e2e::PATIENCE, reading).await.expect("a row is answered").unwrap();
            assert!(read > 0, "the answer ended before row {row}");
        }
    }
    // More than a single command may have.
    let large = " ".repeat(200_000);
    client.write_all(format!("{:x}\r\n{large}\r\n", large.len()).as_bytes()).await.unwrap();
    client.write_all(b"5\r\nrow!\n\r\n").await.unwrap();
    let mut rest = [0; 64];
    let read = tokio::time::timeout(e2e::PATIENCE, client.read(&mut rest)).await.unwrap().unwrap();
    assert!(read > 0);
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let place = Arc::new(Place::new());
    let service = tells_what_it_is_sent("127.0.0.1:0").await.unwrap();
    let limit = [("GATEWAY_REQUESTS_PER_10S", "20".to_owned())];
    let gateway = Gateway::start(&place, [service; 2], [service; 2], &limit).await;
    let site = gateway.site();
    let mut refused = None;
    for _ in 0..40 {
        let answer = site.get("/books/1").await;
        if answer.status != 200 {
            refused = Some(answer);
        }
        // Whoever watches the gateway from the same address must not take it for dead.
        for path in ["/livez", "/readyz"] {
            site.get(path).await.json(200);
        }
    }
    let refused = refused.expect("nobody was refused");
    refused.problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit-policy"), r#""client";q=20;w=10"#);
    assert_eq!(refused.header("ratelimit"), r#""client";r=0;t=1"#);
}
