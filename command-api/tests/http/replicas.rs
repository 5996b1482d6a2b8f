//! Many commands at once, in one process and in several.

use crate::support::{Answer, Replica, Store, eventually};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// So many commands, a copy each, in turn over the replicas; all must be booked.
async fn warehouse_at_once(replicas: &[Arc<Replica>], tasks: usize, each: usize) {
    let mut sending = JoinSet::new();
    for task in 0..tasks {
        let replica = Arc::clone(&replicas[task % replicas.len()]);
        sending.spawn(async move {
            for _ in 0..each {
                replica.warehouse(1, 1).await.ok(201);
            }
        });
    }
    sending.join_all().await;
}

#[tokio::test]
async fn sixty_four_clients_of_one_book_sum_up_exactly() {
    let store = Store::start().await;
    let replica = Arc::new(Replica::start(&store).await);
    warehouse_at_once(std::slice::from_ref(&replica), 64, 10).await;
    assert_eq!(replica.stock(1).await, 640);
    assert_eq!(store.events(1).await.len(), 640);
}

#[tokio::test]
async fn clients_of_two_replicas_sum_up_exactly() {
    let store = Store::start().await;
    let replicas = [Arc::new(Replica::start(&store).await), Arc::new(Replica::start(&store).await)];
    warehouse_at_once(&replicas, 16, 10).await;
    assert_eq!(replicas[0].stock(1).await, 160);
    for replica in &replicas {
        assert_eq!(replica.warehouse(1, 1).await.ok(201)["bookId"], 1);
    }
    assert_eq!(replicas[1].stock(1).await, 162);
}

#[tokio::test]
async fn a_replica_that_knows_an_old_state_neither_refuses_nor_answers_by_it() {
    let store = Store::start().await;
    let (here, there) = (Replica::start(&store).await, Replica::start(&store).await);
    here.warehouse(1, 5).await.ok(201);
    there.post("/books/1/renewals", json!({"version": 2.0})).await.ok(201);
    // By what `here` knows, version 2.0 would be a mismatch.
    let answer = here.post("/books/1/warehousings", json!({"qty": 1, "version": 2.0})).await;
    assert_eq!(answer.ok(201)["stock"], 101);
    // By what `there` knows, the revision would be another.
    let answer = there.post_with("/books/1/warehousings", json!({"qty": 1}), &[("if-match", "\"2\"")]).await;
    assert_eq!(answer.ok(201)["stock"], 102);
}

#[tokio::test]
async fn a_repeat_is_recognised_by_a_replica_that_knows_an_old_state() {
    let store = Store::start().await;
    let (here, there) = (Replica::start(&store).await, Replica::start(&store).await);
    let before = here.warehouse_keyed(1, 5, "before").await;
    before.ok(201);
    // To decide this, `there` reads the state that "before" led to, and does not ask for its key.
    there.warehouse(1, 1).await.ok(201);
    assert_eq!(there.warehouse_keyed(1, 5, "before").await.lasting(), before.lasting());
    let first = there.warehouse_keyed(1, 7, "k").await;
    first.ok(201);
    assert_eq!(here.warehouse_keyed(1, 7, "k").await.lasting(), first.lasting());

    let next = there.warehouse_keyed(1, 8, "k2").await;
    next.ok(201);
    // It is the very next event after what `here` knows: the store itself recognises its id.
    assert_eq!(here.warehouse_keyed(1, 8, "k2").await.lasting(), next.lasting());
    there.warehouse_keyed(1, 9, "k3").await.ok(201);
    here.warehouse_keyed(1, 10, "k3").await.problem(422, "idempotency-key-reused");
    assert_eq!(store.events(1).await.len(), 5);
}

/// So many rows of one book: more than the events that single commands look back over.
const ROWS: usize = 1_500;

async fn send_list(replica: &Replica, book: u64) -> Answer {
    let rows = format!("{{\"bookId\":{book},\"qty\":1}}\n").repeat(ROWS).into_bytes();
    let key = [("idempotency-key", "list")];
    replica.send(Method::POST, "/warehousings?atomic=check", "application/x-ndjson", rows, &key).await
}

#[tokio::test]
async fn a_list_is_recognised_by_a_replica_that_shares_its_book_and_knows_it_before_all_of_the_rows() {
    /// So long a replica counts a book as shared after a conflict: then it reads on before it decides.
    const SHARED_FOR: Duration = Duration::from_secs(1);
    let store = Store::start().await;
    let (here, there) = (Replica::start(&store).await, Replica::start(&store).await);
    let mut book = 0;
    eventually("the list comes again while the book counts as shared", async || {
        book += 1;
        here.warehouse_keyed(book, 1, "young").await.ok(201);
        there.warehouse(book, 1).await.ok(201);
        let began = Instant::now();
        here.warehouse(book, 1).await.ok(201);
        // One that knows nothing has nobody to take turns with.
        let sent = send_list(&Replica::start(&store).await, book).await;
        assert_eq!(sent.text.matches("\"status\":201").count(), ROWS, "{}", sent.text);
        let is_in_time = began.elapsed() < SHARED_FOR;
        let again = send_list(&here, book).await;
        assert_eq!(again.text.matches("\"replayed\":true").count(), ROWS, "{}", again.text);
        assert_eq!(store.events(book).await.len(), 3 + ROWS);
        is_in_time
    })
    .await;
}
