//! What `TCP_NODELAY` on the client's side is worth with a server that acknowledges as late as others do (ADR 0003).

use crate::server::Server;
use bytes::Bytes;
use event_store::{ContentType, Direction, EventStore, Expected, Kurrent, NewEvent, Options, Start};
use std::time::{Duration, Instant};
use uuid::Uuid;

const WARM_UP: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_caller_does_not_wait_for_late_acknowledgements() {
    let server = Server::start(&["--no-quickack"]);
    let connect =
        |nodelay| Kurrent::connect(&server.url(), Options { nodelay, ..Options::default() }).unwrap();
    let event = NewEvent {
        id: Uuid::from_u128(1),
        event_type: "Warehoused".to_owned(),
        content_type: ContentType::Json,
        data: Bytes::from_static(br#"{"qty":123}"#),
        metadata: Bytes::from_static(b"{}"),
    };
    connect(true).append("book-1", Expected::NoStream, vec![event]).await.unwrap();
    // One after the other, for the cure finds every connection to the store in this process.
    let without = typical_read(&connect(false), 20).await;
    let with = typical_read(&connect(true), 200).await;
    eprintln!("a typical read takes {without:?} without TCP_NODELAY, {with:?} with it");
    assert!(without > 4 * with, "a read takes {without:?} without TCP_NODELAY and {with:?} with it");
}

/// How long a read takes, the slower nine tenths left out: they tell how busy the machine is. The first ones do
/// not count, because the kernel acknowledges at once on a new connection.
async fn typical_read(store: &Kurrent, reads: usize) -> Duration {
    let mut took = Vec::new();
    for _ in 0..WARM_UP + reads {
        let begun = Instant::now();
        store.read_stream("book-1", Start::Beginning, Direction::Forwards, 1).await.unwrap();
        took.push(begun.elapsed());
    }
    let took = &mut took[WARM_UP..];
    took.sort();
    took[took.len() / 10]
}
