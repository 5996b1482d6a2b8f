//! More than a command side takes on is turned away at once, and told when to come back.

use crate::support::{Replica, Store, eventually};
use service_kit::LimitSettings;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_client_that_sends_too_much_is_told_how_much_it_may_and_when_to_come_back() {
    let store = Store::start().await;
    let limits = LimitSettings { rate_limit: NonZeroU32::new(2), ..LimitSettings::default() };
    let replica = Replica::limited(&store, &limits).await;
    let first = replica.warehouse(1, 1).await;
    first.ok(201);
    assert_eq!(first.header("ratelimit-policy"), "\"client\";q=2;w=1");
    assert_eq!(first.header("ratelimit"), "\"client\";r=1;t=1");
    let (mut refused, mut booked) = (None, 1);
    eventually("a command is refused", async || {
        let answer = replica.warehouse(1, 1).await;
        match answer.status.as_u16() {
            201 => booked += 1,
            _ => refused = Some(answer),
        }
        refused.is_some()
    })
    .await;
    let refused = refused.unwrap();
    refused.problem(429, "too-many-requests");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert_eq!(refused.header("ratelimit-policy"), "\"client\";q=2;w=1");
    assert_eq!(refused.header("ratelimit"), "\"client\";r=0;t=1");
    assert_eq!(store.events(1).await.len(), booked);
    // What tells how it is has no limit.
    for _ in 0..10 {
        assert_eq!(replica.get("/livez").await.status, 200);
    }
}

#[tokio::test]
async fn more_commands_than_there_is_room_for_are_turned_away_unbooked() {
    const ROOM: u32 = 4;
    let store = Store::start().await;
    let limits = LimitSettings { max_in_flight: ROOM, ..LimitSettings::default() };
    let replica = Arc::new(Replica::limited(&store, &limits).await);
    replica.warehouse(1, 1).await.ok(201);
    store.freeze().await;
    let mut sending = JoinSet::new();
    for book in 1..=10 {
        let replica = Arc::clone(&replica);
        sending.spawn(async move { replica.warehouse(book, 10).await });
    }
    // As many as there is room for wait for the store; all others are answered while they do.
    for _ in ROOM..10 {
        let refused = sending.join_next().await.unwrap().unwrap();
        refused.problem(503, "overloaded");
        assert_eq!(refused.header("retry-after"), "1");
    }
    store.thaw().await;
    let booked = sending.join_all().await;
    assert_eq!(booked.len(), ROOM as usize);
    booked.iter().for_each(|answer| drop(answer.ok(201)));
}
