//! What `TCP_NODELAY` on the client's side is worth with a server that acknowledges as late as others do (ADR 0003).

use crate::server::Server;
use bytes::Bytes;
use event_store::{ContentType, EventStore, Expected, Kurrent, NewEvent, Options};
use std::time::{Duration, Instant};
use uuid::Uuid;

const WARM_UP: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_caller_does_not_wait_for_late_acknowledgements() {
    let server = Server::start(&["--no-quickack"]);
    let connect =
        |nodelay| Kurrent::connect(&server.url(), Options { nodelay, ..Options::default() }).unwrap();
    // One after the other, for the cure finds every connection to the store in this process.
    let without = typical_append(&connect(false), "without", 20).await;
    let with = typical_append(&connect(true), "with", 200).await;
    eprintln!("a typical append takes {without:?} without TCP_NODELAY, {with:?} with it");
    assert!(without > 10 * with, "an append takes {without:?} without TCP_NODELAY and {with:?} with it");
}

/// How long an append takes, the slower three quarters left out: they tell how busy the machine is. The first ones do
/// not count, because the kernel acknowledges at once on a new connection.
async fn typical_append(store: &Kurrent, stream: &str, appends: usize) -> Duration {
    let mut expected = Expected::NoStream;
    let mut took = Vec::new();
    for number in 1..=WARM_UP + appends {
        let event = NewEvent {
            id: Uuid::from_u128(number as u128),
            event_type: "Warehoused".to_owned(),
            content_type: ContentType::Json,
            data: Bytes::from_static(br#"{"qty":123}"#),
            metadata: Bytes::from_static(b"{}"),
        };
        let begun = Instant::now();
        let appended = store.append(stream, expected, vec![event]).await.unwrap();
        took.push(begun.elapsed());
        expected = Expected::Revision(appended.revision);
    }
    let took = &mut took[WARM_UP..];
    took.sort();
    took[took.len() / 4]
}
