//! More callers and followers than a connection may carry.

use crate::server::Server;
use bytes::Bytes;
use event_store::{ContentType, EventStore, Expected, Filter, Follow, Heard, Kurrent, NewEvent, Options};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use std::time::Duration;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn callers_wait_for_their_turn() {
    let server = Server::start(&[]);
    let options = Options { call_timeout: Duration::from_secs(20), ..Options::default() };
    let store = Kurrent::connect(&server.url(), options).unwrap();
    let appends = (1..=500_u128).map(async |number| {
        let event = NewEvent {
            id: Uuid::from_u128(number),
            event_type: "Warehoused".to_owned(),
            content_type: ContentType::Json,
            data: Bytes::from_static(br#"{"qty":1}"#),
            metadata: Bytes::from_static(b"{}"),
        };
        store.append(&format!("book-{number}"), Expected::NoStream, vec![event]).await
    });
    let failed: Vec<_> = join_all(appends).await.into_iter().filter_map(Result::err).collect();
    assert_eq!(failed, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_follower_gives_its_place_back() {
    let server = Server::start(&[]);
    let store =
        Kurrent::connect(&server.url(), Options { calls_in_flight: 2, ..Options::default() }).unwrap();
    for _ in 0..20 {
        let mut heard = store.follow(Follow::FromBeginning, Filter::default());
        assert_eq!(heard.next().await, Some(Heard::CaughtUp));
    }
}
