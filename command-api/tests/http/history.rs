//! What is stored, and what is made of streams that others wrote to.

use crate::support::{Replica, Store};
use event_store::{ContentType, EventStore as _, Expected, NewEvent};
use serde_json::{Value, json};

const WAREHOUSED: &str =
    r#"{"bookId":1,"qty":5,"version":1.0,"name":"A","occurredAt":"2021-02-24T11:31:46.500000Z"}"#;

/// Appends an event past the command side, as a tool or another release would.
async fn meddle(store: &Store, expected: Expected, event_type: &str, data: &str, metadata: &str) {
    let event = NewEvent {
        id: uuid::Uuid::from_u128(store.events(1).await.len() as u128 + 1),
        event_type: event_type.to_owned(),
        content_type: ContentType::Json,
        data: data.to_owned().into(),
        metadata: metadata.to_owned().into(),
    };
    store.client().append("book-1", expected, vec![event]).await.unwrap();
}

#[tokio::test]
async fn an_event_carries_the_state_after_it_and_where_it_came_from() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("idempotency-key", "k"), ("x-request-id", "req-1"), ("traceparent", traceparent)];
    replica.post_with("/books/1/warehousings", json!({"qty": 5}), &headers).await.ok(201);
    replica.post_with("/books/1/warehousings", json!({"qty": 7}), &[("traceparent", "x")]).await.ok(201);

    let events = store.events(1).await;
    assert_eq!((events[0].event_type.as_str(), events[0].id.get_version_num()), ("Warehoused", 5));
    let metadata: Value = serde_json::from_slice(&events[0].metadata).unwrap();
    let hash = metadata["commandHash"].as_str().unwrap();
    let expected = json!({
        "schemaVersion": 1,
        "after": {"name": null, "version": 1.0, "stock": 5},
        "idempotencyKey": "k",
        "commandHash": hash,
        "$correlationId": "req-1",
        "$causationId": "req-1",
        "traceparent": traceparent,
    });
    assert_eq!(hash.len(), 64);
    assert_eq!(metadata, expected);

    let metadata: Value = serde_json::from_slice(&events[1].metadata).unwrap();
    assert_eq!(metadata["after"]["stock"], 12);
    assert_eq!(metadata.get("traceparent"), None);
    assert!(metadata["idempotencyKey"].as_str().unwrap().len() >= 32);
    assert_eq!(metadata["$correlationId"], metadata["$causationId"]);
    assert_ne!(metadata["$correlationId"], "");
}

#[tokio::test]
async fn a_stream_whose_events_do_not_tell_the_state_is_folded() {
    let store = Store::start().await;
    meddle(&store, Expected::NoStream, "Warehoused", WAREHOUSED, "").await;
    meddle(&store, Expected::Revision(0), "Warehoused", WAREHOUSED, r#"{"after":{"stock":"many"}}"#).await;
    let replica = Replica::start(&store).await;
    assert_eq!(replica.stock(1).await, 10);
    let body = replica.warehouse(1, 1).await.ok(201);
    assert_eq!((&body["stock"], &body["revision"], &body["name"]), (&json!(11), &json!(2), &json!("A")));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_commands_on_its_book_only() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    replica.warehouse(1, 5).await.ok(201);
    meddle(&store, Expected::Revision(0), "Lost", "{}", "{}").await;
    for replica in [&replica, &Replica::start(&store).await] {
        replica.warehouse(1, 5).await.problem(503, "stream-unreadable");
        replica.post("/books/1/renewals", json!({})).await.problem(503, "stream-unreadable");
        replica.get("/libraries/1").await.problem(503, "stream-unreadable");
        replica.warehouse_keyed(1, 5, "k").await.problem(503, "stream-unreadable");
        replica.warehouse(2, 5).await.ok(201);
    }
    assert_eq!(store.events(1).await.len(), 2);
}

#[tokio::test]
async fn an_unreadable_event_in_the_middle_of_what_must_be_folded_is_not_skipped() {
    let store = Store::start().await;
    meddle(&store, Expected::NoStream, "Warehoused", WAREHOUSED, "").await;
    meddle(&store, Expected::Revision(0), "Warehoused", r#"{"bookId":1}"#, "").await;
    meddle(&store, Expected::Revision(1), "Warehoused", WAREHOUSED, "").await;
    Replica::start(&store).await.warehouse(1, 1).await.problem(503, "stream-unreadable");
}

const SKIPPED: &str =
    r#"{"bookId":1,"revision":1,"reason":"a tool wrote it","occurredAt":"2021-02-24T11:31:47.000000Z"}"#;

#[tokio::test]
async fn a_book_works_again_when_its_unreadable_event_is_skipped() {
    let store = Store::start().await;
    let (running, keyed) = (Replica::start(&store).await, Replica::start(&store).await);
    running.warehouse(1, 5).await.ok(201);
    keyed.warehouse_keyed(1, 5, "k").await.ok(201);
    meddle(&store, Expected::Revision(1), "Lost", "{}", "{}").await;
    running.warehouse(1, 5).await.problem(503, "stream-unreadable");
    let skipped = SKIPPED.replace(r#""revision":1"#, r#""revision":2"#);
    meddle(&store, Expected::Revision(2), "Skipped", &skipped, "{}").await;

    // Whether the book is in the cache or not, and whether the event tells the state or the stream is folded.
    assert_eq!(running.warehouse(1, 1).await.ok(201)["stock"], 11);
    assert_eq!(keyed.warehouse_keyed(1, 5, "k").await.ok(201)["stock"], 10);
    assert_eq!(Replica::start(&store).await.warehouse(1, 1).await.ok(201)["stock"], 12);
    assert_eq!(keyed.stock(1).await, 12);
}

#[tokio::test]
async fn a_book_waits_until_each_of_its_unreadable_events_is_skipped() {
    let store = Store::start().await;
    let running = Replica::start(&store).await;
    running.warehouse(1, 5).await.ok(201);
    meddle(&store, Expected::Revision(0), "Lost", "{}", "{}").await;
    meddle(&store, Expected::Revision(1), "Lost", "{}", "{}").await;
    // As the replay tool writes it: nothing says what the book is while another event cannot be read.
    meddle(&store, Expected::Revision(2), "Skipped", SKIPPED, r#"{"schemaVersion":1}"#).await;
    for replica in [&running, &Replica::start(&store).await] {
        replica.warehouse(1, 1).await.problem(503, "stream-unreadable");
        replica.get("/libraries/1").await.problem(503, "stream-unreadable");
    }
    let skipped = SKIPPED.replace(r#""revision":1"#, r#""revision":2"#);
    meddle(&store, Expected::Revision(3), "Skipped", &skipped, r#"{"schemaVersion":1}"#).await;
    assert_eq!(running.warehouse(1, 1).await.ok(201)["stock"], 6);
}

#[tokio::test]
async fn a_skipped_event_is_left_out_though_this_release_can_read_it() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    assert_eq!(replica.warehouse(1, 5).await.ok(201)["stock"], 5);
    assert_eq!(replica.warehouse(1, 7).await.ok(201)["stock"], 12);
    meddle(&store, Expected::Revision(1), "Skipped", SKIPPED, "").await;
    assert_eq!(replica.warehouse(1, 1).await.ok(201)["stock"], 6);
}

#[tokio::test]
async fn a_book_whose_only_event_is_skipped_begins_anew() {
    let store = Store::start().await;
    meddle(&store, Expected::NoStream, "Lost", "{}", "").await;
    let skipped = SKIPPED.replace(r#""revision":1"#, r#""revision":0"#);
    meddle(&store, Expected::Revision(0), "Skipped", &skipped, r#"{"after":null}"#).await;
    let replica = Replica::start(&store).await;
    replica.get("/libraries/1").await.problem(404, "book-unknown");
    assert_eq!(replica.warehouse(1, 9).await.ok(201)["stock"], 9);
}
