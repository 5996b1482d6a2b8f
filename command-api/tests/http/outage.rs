//! The event store is away, or frozen.

use crate::support::{Answer, Replica, Store, eventually};
use serde_json::json;
use std::time::{Duration, Instant};

/// The longest that a client may be left without an answer.
const SOON: Duration = Duration::from_secs(1);

async fn within_a_second(sending: impl Future<Output = Answer>) -> Answer {
    let started = Instant::now();
    let answer = sending.await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    answer
}

async fn ready(replica: &Replica, status: u16) {
    eventually("the readiness", async || replica.get("/readyz").await.status == status).await;
}

#[tokio::test]
async fn without_its_store_a_command_is_told_so_within_a_second_and_goes_on_after() {
    let mut store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    replica.warehouse(1, 5).await.ok(201);
    ready(&replica, 200).await;

    store.kill().await;
    for book in [1, 2] {
        let answer = within_a_second(replica.warehouse(book, 5)).await;
        answer.problem(503, "event-store-unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    within_a_second(replica.get("/libraries/1")).await.problem(503, "event-store-unavailable");
    ready(&replica, 503).await;
    assert_eq!(replica.get("/livez").await.status, 200);

    store.restart().await;
    ready(&replica, 200).await;
    assert_eq!(replica.warehouse(1, 7).await.ok(201)["stock"], 12);
    assert_eq!(replica.warehouse(2, 7).await.ok(201)["stock"], 7);
}

#[tokio::test]
async fn an_outcome_that_nobody_knows_comes_with_the_key_to_ask_again() {
    let store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    replica.warehouse(1, 5).await.ok(201);
    store.freeze().await;
    let keyed = within_a_second(replica.warehouse_keyed(1, 7, "mine")).await;
    assert_eq!(keyed.problem(503, "outcome-unknown")["idempotencyKey"], "mine");
    assert_eq!(keyed.header("idempotency-key"), "mine");
    assert_eq!(keyed.header("retry-after"), "1");
    store.thaw().await;
    replica.warehouse_keyed(1, 7, "mine").await.ok(201);
    assert_eq!(replica.stock(1).await, 12);

    store.freeze().await;
    let unkeyed = within_a_second(replica.warehouse(1, 100)).await;
    let key = unkeyed.problem(503, "outcome-unknown")["idempotencyKey"].as_str().unwrap().to_owned();
    assert_eq!(unkeyed.header("idempotency-key"), key);
    store.thaw().await;
    replica.warehouse_keyed(1, 100, &key).await.ok(201);
    Replica::hurried(&store).await.warehouse_keyed(1, 100, &key).await.ok(201);
    assert_eq!(replica.stock(1).await, 112);
    assert_eq!(store.events(1).await.len(), 3);
}

#[tokio::test]
async fn a_repeat_of_what_is_booked_is_not_told_that_nothing_was() {
    let mut store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    let first = replica.warehouse_keyed(1, 5, "k").await;
    first.ok(201);
    store.freeze().await;
    within_a_second(replica.warehouse_keyed(1, 5, "k")).await.problem(503, "outcome-unknown");
    store.thaw().await;
    store.kill().await;
    within_a_second(replica.warehouse_keyed(1, 5, "k")).await.problem(503, "outcome-unknown");
    within_a_second(replica.warehouse_keyed(1, 6, "k")).await.problem(422, "idempotency-key-reused");
    store.restart().await;
    ready(&replica, 200).await;
    assert_eq!(replica.warehouse_keyed(1, 5, "k").await.lasting(), first.lasting());
}

#[tokio::test]
async fn a_frozen_store_leaves_no_client_without_an_answer() {
    let store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    replica.warehouse(1, 5).await.ok(201);
    store.freeze().await;
    let waiting =
        async { tokio::join!(replica.warehouse(1, 1), replica.warehouse(1, 1), replica.warehouse(1, 1)) };
    let started = Instant::now();
    let (a, b, c) = waiting.await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    for answer in [a, b, c] {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    within_a_second(replica.post("/books/2/renewals", json!({})))
        .await
        .problem(503, "event-store-unavailable");
    within_a_second(replica.get("/libraries/1")).await.problem(503, "event-store-unavailable");
    ready(&replica, 503).await;
    store.thaw().await;
    ready(&replica, 200).await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_cut_off_and_found_again_when_it_does() {
    let store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    replica.warehouse(1, 5).await.ok(201);
    store.freeze().await;
    eventually("the readiness tells of the circuit", async || {
        replica.warehouse(1, 5).await;
        replica.get("/readyz").await.text.contains("the circuit is open")
    })
    .await;
    eventually("a command is turned away unsent", async || {
        replica.warehouse(1, 5).await.text.contains("event-store-unavailable")
    })
    .await;
    store.thaw().await;
    ready(&replica, 200).await;
    eventually("commands are booked again", async || replica.warehouse(2, 5).await.status == 201).await;
}
