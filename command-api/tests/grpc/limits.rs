//! More than a process takes on is turned away at once.

use crate::client::books::books_client::BooksClient;
use crate::client::{GetBookRequest, client, copies, details, text};
use crate::program::Program;
use crate::support::{Replica, Store, eventually};
use service_kit::LimitSettings;
use std::num::NonZeroU32;
use tonic::Code;

#[tokio::test]
async fn a_client_that_calls_too_often_is_told_when_to_come_back() {
    let store = Store::start().await;
    let limits = LimitSettings { rate_limit: NonZeroU32::new(2), ..LimitSettings::default() };
    let replica = Replica::limited(&store, &limits).await;
    let client = client(&replica).await;
    let mut refused = None;
    eventually("a call is refused", async || {
        refused = client.clone().get_book(GetBookRequest { book_id: 1 }).await.err();
        refused.as_ref().is_some_and(|status| status.code() == Code::ResourceExhausted)
    })
    .await;
    let refused = refused.unwrap();
    let told = details(&refused, Code::ResourceExhausted, "TOO_MANY_REQUESTS");
    assert!(told.retry_info().unwrap().retry_delay.unwrap().as_secs() >= 1);
    assert_eq!(text(refused.metadata(), "ratelimit-policy"), "\"client\";q=2;w=1");
}

#[tokio::test]
async fn more_calls_than_there_is_room_for_are_turned_away_unbooked() {
    let store = Store::start().await;
    let limits = LimitSettings { max_in_flight: 1, ..LimitSettings::default() };
    let replica = Replica::limited(&store, &limits).await;
    let client = client(&replica).await;
    client.clone().warehouse(copies(1)).await.unwrap();
    store.freeze().await;
    let (mut first, mut second) = (client.clone(), client.clone());
    let (first, second) = (first.warehouse(copies(10)), second.warehouse(copies(100)));
    tokio::pin!(first, second);
    // Whichever is the later one is refused while the other one waits for the store.
    let refused = tokio::select! {
        answer = &mut first => answer.unwrap_err(),
        answer = &mut second => answer.unwrap_err(),
    };
    details(&refused, Code::Unavailable, "OVERLOADED");
    store.thaw().await;
}

#[tokio::test]
async fn both_ways_in_share_what_there_is_room_for() {
    let store = Store::start().await;
    let program = Program::start(&store, &["--max-in-flight", "1"]).await;
    let mut client = BooksClient::connect(program.grpc().to_owned()).await.unwrap();
    client.warehouse(copies(1)).await.unwrap();
    store.freeze().await;
    let (over_http, over_grpc) = (program.warehouse(1, 10), client.warehouse(copies(100)));
    tokio::pin!(over_http, over_grpc);
    // Whichever is the later one is refused while the other one waits for the store.
    tokio::select! {
        answer = &mut over_http => drop(answer.problem(503, "overloaded")),
        answer = &mut over_grpc => drop(details(&answer.unwrap_err(), Code::Unavailable, "OVERLOADED")),
    }
    store.thaw().await;
}
