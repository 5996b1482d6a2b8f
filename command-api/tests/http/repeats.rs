//! One intention, one effect: a repeat is answered as the first time.

use crate::support::{Answer, Replica, Store};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_repeat_gets_the_first_answer_again_whatever_happened_since() {
    let mut store = Store::start().await;
    let replica = Replica::start(&store).await;
    let first = replica.warehouse_keyed(1, 5, "k1").await;
    first.ok(201);
    replica.warehouse(1, 7).await.ok(201);
    replica.post("/books/1/renewals", json!({})).await.ok(201);

    let warm = replica.warehouse_keyed(1, 5, "k1").await;
    assert_eq!(warm.lasting(), first.lasting());
    assert_eq!(replica.warehouse_keyed(1, 5, "\"k1\"").await.lasting(), first.lasting());

    let cold = Replica::start(&store).await;
    assert_eq!(cold.warehouse_keyed(1, 5, "k1").await.lasting(), first.lasting());

    store.restart().await;
    assert_eq!(Replica::start(&store).await.warehouse_keyed(1, 5, "k1").await.lasting(), first.lasting());
    assert_eq!(store.events(1).await.len(), 3);
}

#[tokio::test]
async fn a_repeat_of_the_originals_commands_is_answered_again_too() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    for body in [json!({"bookId": 1, "qty": 123}), json!({"bookId": 1, "version": 2.0})] {
        let key = [("idempotency-key", body["qty"].to_string())];
        let key = [(key[0].0, key[0].1.as_str())];
        let first = replica.post_with("/libraries", body.clone(), &key).await;
        first.ok(201);
        assert_eq!(replica.post_with("/libraries", body, &key).await.lasting(), first.lasting());
    }
    assert_eq!(store.events(1).await.len(), 2);
}

#[tokio::test]
async fn a_repeated_correction_is_made_once() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    replica.warehouse(1, 9).await.ok(201);
    let correct = async |reason: &str| {
        let body = json!({"qtyDelta": -2, "reason": reason});
        replica.post_with("/books/1/corrections", body, &[("idempotency-key", "k")]).await
    };
    let first = correct("lost").await;
    assert_eq!(first.ok(201)["stock"], 7);
    assert_eq!(correct("lost").await.lasting(), first.lasting());
    correct("withdrawn").await.problem(422, "idempotency-key-reused");
    assert_eq!(replica.stock(1).await, 7);
}

#[tokio::test]
async fn only_a_repeat_says_that_it_is_one() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let first = replica.warehouse_keyed(1, 5, "k1").await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(replica.warehouse_keyed(1, 5, "k1").await.header("idempotency-replayed"), "true");
    assert!(!replica.warehouse(1, 5).await.headers.contains_key("idempotency-replayed"));
}

#[tokio::test]
async fn a_hundred_at_once_under_one_key_are_one_command() {
    let store = Store::start().await;
    let replicas = [Arc::new(Replica::start(&store).await), Arc::new(Replica::start(&store).await)];
    let mut sending = JoinSet::new();
    for number in 0..100 {
        let replica = Arc::clone(&replicas[number % 2]);
        sending.spawn(async move { replica.warehouse_keyed(1, 5, "same").await.lasting() });
    }
    let answers: Vec<Answer> = sending.join_all().await;
    answers[0].ok(201);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(store.events(1).await.len(), 1);
}

#[tokio::test]
async fn another_command_under_the_same_key_is_refused() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    replica.warehouse_keyed(1, 5, "k").await.ok(201);
    for replica in [&replica, &Replica::start(&store).await] {
        replica.warehouse_keyed(1, 6, "k").await.problem(422, "idempotency-key-reused");
        let renewal = replica.post_with("/books/1/renewals", json!({}), &[("idempotency-key", "k")]).await;
        renewal.problem(422, "idempotency-key-reused");
    }
    assert_eq!(store.events(1).await.len(), 1);
}

#[tokio::test]
async fn the_same_key_for_another_book_is_another_intention() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    replica.warehouse_keyed(1, 5, "k").await.ok(201);
    assert_eq!(replica.warehouse_keyed(2, 5, "k").await.ok(201)["stock"], 5);
}

#[tokio::test]
async fn a_refusal_is_decided_anew() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let key = [("idempotency-key", "k")];
    replica.post_with("/books/1/renewals", json!({}), &key).await.problem(404, "book-unknown");
    replica.warehouse(1, 5).await.ok(201);
    replica.post_with("/books/1/renewals", json!({}), &key).await.ok(201);
}

#[tokio::test]
async fn commands_without_a_key_are_never_repeats() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    replica.warehouse(1, 5).await.ok(201);
    assert_eq!(replica.warehouse(1, 5).await.ok(201)["stock"], 10);
}

#[tokio::test]
async fn a_key_is_recognised_over_the_books_last_thousand_events() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let keys = ["k0", "k1", "k2"];
    let mut first = Vec::new();
    for key in keys {
        let answer = replica.warehouse_keyed(1, 5, key).await;
        answer.ok(201);
        first.push(answer.lasting());
    }
    for _ in 3..1_000 {
        replica.warehouse(1, 1).await.ok(201);
    }
    for replica in [&replica, &Replica::start(&store).await] {
        for (key, first) in keys.iter().zip(&first) {
            assert_eq!(replica.warehouse_keyed(1, 5, key).await.lasting(), *first, "{key}");
        }
    }

    // Each of them is older than that now, for a replica that knows it and for one that does not.
    replica.warehouse(1, 1).await.ok(201);
    assert_eq!(replica.warehouse_keyed(1, 5, "k0").await.ok(201)["revision"], 1_001);
    assert_eq!(replica.warehouse_keyed(1, 6, "k1").await.ok(201)["revision"], 1_002);
    let cold = Replica::start(&store).await;
    assert_eq!(cold.warehouse_keyed(1, 5, "k2").await.ok(201)["revision"], 1_003);
}
