//! `If-Match`, and every refusal that the rules know.

use crate::support::{Replica, Store};
use serde_json::json;

#[tokio::test]
async fn a_command_for_another_revision_is_refused_with_the_current_one() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let path = "/books/1/warehousings";
    let send = async |etag: &str| replica.post_with(path, json!({"qty": 1}), &[("if-match", etag)]).await;

    assert_eq!(send("\"0\"").await.problem(412, "revision-mismatch")["revision"], json!(null));
    let unknown = send("*").await;
    let detail = unknown.problem(412, "revision-mismatch")["detail"].to_string();
    assert!(detail.contains("There is no such book"), "{detail}");
    let etag = replica.warehouse(1, 1).await.header("etag").to_owned();
    send(&etag).await.ok(201);
    let stale = send(&etag).await;
    let problem = stale.problem(412, "revision-mismatch");
    assert_eq!(problem["revision"], 1);
    let detail = problem["detail"].to_string();
    assert!(detail.contains("it is at revision 1 now"), "{detail}");
    send("\"1.7\"").await.ok(201);
    send("*").await.ok(201);
    send("1").await.problem(400, "malformed-request");
    assert_eq!(replica.stock(1).await, 4);
}

#[tokio::test]
async fn a_repeat_is_answered_though_its_condition_no_longer_holds() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    replica.warehouse(1, 1).await.ok(201);
    let headers = [("if-match", "\"0\""), ("idempotency-key", "k")];
    let first = replica.post_with("/books/1/renewals", json!({}), &headers).await;
    first.ok(201);
    let again = replica.post_with("/books/1/renewals", json!({}), &headers).await;
    assert_eq!(again.lasting(), first.lasting());
}

#[tokio::test]
async fn each_refusal_has_its_problem_and_leaves_no_event() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    replica.post("/books/1/renewals", json!({})).await.problem(404, "book-unknown");
    let correct = async |delta: i64| {
        replica.post("/books/1/corrections", json!({"qtyDelta": delta, "reason": "lost"})).await
    };
    correct(1).await.problem(404, "book-unknown");
    replica.post("/libraries", json!({"bookId": 1, "version": 2.0})).await.problem(404, "book-unknown");
    replica.post("/books/1/warehousings", json!({"qty": 5, "version": 2})).await.ok(201);

    let other_edition = replica.post("/books/1/warehousings", json!({"qty": 5, "version": 1.5})).await;
    assert_eq!(other_edition.problem(409, "edition-mismatch")["currentVersion"], json!(2.0));
    let backwards = replica.post("/books/1/renewals", json!({"version": 2.0})).await;
    assert_eq!(backwards.problem(409, "edition-not-greater")["currentVersion"], json!(2.0));
    assert_eq!(correct(-6).await.problem(409, "stock-below-zero")["stock"], 5);
    assert_eq!(correct(999_999_996).await.problem(409, "stock-limit")["stock"], 5);
    assert_eq!(store.events(1).await.len(), 1);

    replica.post("/books/1/renewals", json!({"version": 1_000_000})).await.ok(201);
    replica.post("/books/1/renewals", json!({})).await.problem(409, "no-later-edition");
}

#[tokio::test]
async fn more_than_the_library_can_hold_is_refused() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    for _ in 0..1_000 {
        replica.warehouse(1, 1_000_000).await.ok(201);
    }
    assert_eq!(replica.warehouse(1, 1).await.problem(409, "stock-limit")["stock"], 1_000_000_000);
}

#[tokio::test]
async fn a_command_for_a_book_that_is_not_there_yet_is_refused_once_it_is() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let send = async |etag: &str, key: &str| {
        let headers = [("if-none-match", etag), ("idempotency-key", key)];
        replica.post_with("/books/1/warehousings", json!({"qty": 1}), &headers).await
    };
    let first = send("*", "a").await;
    first.ok(201);
    assert_eq!(send("*", "a").await.lasting(), first.lasting());
    let refused = send("*", "b").await;
    let problem = refused.problem(412, "revision-mismatch");
    assert_eq!(problem["revision"], 0);
    let detail = problem["detail"].to_string();
    assert!(detail.contains("The book exists already, at revision 0"), "{detail}");
    assert_eq!(refused.header("etag"), "\"0\"");
    send("\"0\"", "c").await.problem(412, "revision-mismatch");
    send("\"7\"", "d").await.ok(201);
    send("0", "e").await.problem(400, "malformed-request");
    assert_eq!(replica.stock(1).await, 2);
}
