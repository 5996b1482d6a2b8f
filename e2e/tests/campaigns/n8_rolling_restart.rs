//! Every service of the topology is restarted, one by one, under load through the gateway: no request fails, no command is lost.

use e2e::{Identity, Place, PlainTopology, Site};
use reqwest::{Body, Client, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

/// The books of those who ask and command at once while everything is restarted; siege has the first fifty.
const BOOKS: RangeInclusive<u64> = 101..=112;

/// The book of the one whose receiving list has no end, and a row of it.
const LISTED: u64 = 113;
const ROW: &str = "{\"bookId\":113,\"qty\":1}\n";

/// What a list is told by a service that stops.
const STOPPING: &str = "urn:bookstock:problem:service-stopping";

/// How many ask at once besides.
const USERS: &str = "25";

/// Begins the command that the documents tell for it.
const TOLD: &str = "$ cargo xtask topology up";

#[tokio::test]
async fn every_service_is_restarted_under_load_and_no_request_fails() {
    for _ in campaign::runs("N8", 1) {
        // As in production, each request has a token that is checked.
        let place = Arc::new(Place::new());
        let identity = Identity::start(&place).await;
        let token = identity.token("librarian", "books:read books:write").await;
        let settings = [
            ("AUTH_ISSUER", identity.issuer().to_owned()),
            ("PROMETHEUS_CLIENT", "operator".to_owned()),
            ("PROMETHEUS_CLIENT_SECRET", "operator-secret".to_owned()),
        ];
        let topology = PlainTopology::start_as_told(place, &told_by_the_readme(), &settings).await;
        let gateway = topology.site("gateway").bearing(&token);
        assert_eq!(gateway.get("/books").await.status, 200);
        assert_eq!(topology.site("gateway").get("/books").await.status, 401);
        let go_home = Arc::<AtomicBool>::default();
        let mut clients = JoinSet::new();
        for number in BOOKS {
            clients.spawn(work(gateway.clone(), number, Arc::clone(&go_home)));
        }
        let delivering = deliver(gateway.url("/warehousings"), token.clone(), Arc::clone(&go_home));
        let delivering = tokio::spawn(delivering);
        // siege, which the original was tried with, beside our own clients, who know what they booked.
        let rolled = topology.roll(&["--siege", USERS, "--siege-token", &token]).await;
        assert_eq!(rolled.code, Some(0), "{rolled:?}");
        assert!(rolled.out.contains("availability 100.00 %"), "{rolled:?}");
        go_home.store(true, Ordering::Relaxed);
        let (mut booked, mut failed) = (0, Vec::new());
        for (of_one, failures) in clients.join_all().await {
            booked += of_one;
            failed.extend(failures);
        }
        let count = failed.len();
        assert_eq!(
            failed,
            Vec::<String>::new(),
            "{count} of {booked} commands and twice as many queries failed"
        );
        assert!(booked > 100, "only {booked} commands were sent");
        let mut stock = 0;
        for number in BOOKS {
            stock += gateway.get(&format!("/libraries/{number}")).await.json(200)["stock"].as_u64().unwrap();
        }
        assert_eq!(stock, booked, "a command was lost or booked twice");
        let delivered = delivering.await.unwrap();
        assert_eq!(delivered.failed, Vec::<String>::new(), "a list was not answered well");
        assert!(delivered.left > 0, "no service stopped in the middle of a list");
        let listed = gateway.get(&format!("/libraries/{LISTED}")).await.json(200)["stock"].as_u64();
        assert_eq!(listed, Some(delivered.booked), "a row was lost or booked twice");
        let besides = rolled.out.lines().find_map(|line| line.split_once("\"transactions\":")).unwrap().1;
        let besides = besides.trim().trim_end_matches(',');
        eprintln!(
            "none of {} requests failed, {booked} of them commands, nor of siege's {besides}",
            3 * booked
        );
    }
}

/// The command that starts it, which the README tells and the Korean one, too.
fn told_by_the_readme() -> String {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let told = ["README.md", "README.ko.md"].map(|name| {
        let text = fs::read_to_string(checkout.join(name)).unwrap();
        let line = text.lines().find(|line| line.starts_with(TOLD));
        line.unwrap_or_else(|| panic!("{name} does not tell {TOLD}")).to_owned()
    });
    assert_eq!(told[0], told[1]);
    told[0].trim_start_matches("$ ").to_owned()
}

/// What went wrong for one client, if anything did, and how many of its commands were booked.
async fn work(site: Site, number: u64, go_home: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut booked, mut failed) = (0, Vec::new());
    let path = format!("/books/{number}/warehousings");
    while !go_home.load(Ordering::Relaxed) {
        match site.post_keyed(&path, &json!({"qty": 1}), None).await {
            Ok(answer) if answer.status == 201 => booked += 1,
            other => failed.push(format!("{other:?}")),
        }
        // The list, and the page that shows it.
        for path in ["/admins?size=20", "/"] {
            match site.try_get(path).await {
                Ok(answer) if answer.status == 200 => {}
                other => failed.push(format!("{other:?}")),
            }
        }
    }
    (booked, failed)
}

/// What became of the rows of lists: how many were booked, how many lists were left by a service that stopped, and what went wrong.
#[derive(Default)]
struct Delivered {
    booked: u64,
    left: u64,
    failed: Vec<String>,
}

/// Sends a list that goes on until its service stops, and then the next one.
async fn deliver(url: String, token: String, go_home: Arc<AtomicBool>) -> Delivered {
    let client = Client::builder().no_proxy().build().unwrap();
    let mut delivered = Delivered::default();
    while !go_home.load(Ordering::Relaxed) {
        let (rows, body) = mpsc::channel(1);
        rows.send(Ok::<_, Infallible>(ROW)).await.unwrap();
        let request = client.post(&url).bearer_auth(&token).header("content-type", "application/x-ndjson");
        match request.body(Body::wrap_stream(ReceiverStream::new(body))).send().await {
            Ok(answer) if answer.status() == 200 => delivered.read(answer, rows, &go_home).await,
            other => delivered.failed.push(format!("{other:?}")),
        }
    }
    delivered
}

impl Delivered {
    /// Reads the results of a list, and sends a row after each of them.
    async fn read(
        &mut self,
        mut answer: Response,
        rows: mpsc::Sender<Result<&'static str, Infallible>>,
        go_home: &AtomicBool,
    ) {
        let (mut rows, mut text) = (Some(rows), Vec::new());
        loop {
            match answer.chunk().await {
                Ok(Some(piece)) => text.extend_from_slice(&piece),
                Ok(None) => return,
                Err(error) => return self.failed.push(format!("{error:?}")),
            }
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let result: Value = serde_json::from_slice(&line).unwrap();
                if result["status"] == 201 {
                    self.booked += 1;
                } else if result["problem"]["type"] == STOPPING {
                    (self.left, rows) = (self.left + 1, None);
                } else {
                    self.failed.push(result.to_string());
                }
                rows = rows.filter(|_| !go_home.load(Ordering::Relaxed));
                if let Some(rows) = &rows {
                    // Whoever takes no further row says so in the answer.
                    let _ = rows.send(Ok(ROW)).await;
                }
            }
        }
    }
}
