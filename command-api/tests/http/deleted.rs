//! Books whose streams another client of the event store has deleted for ever: each command says so, and nobody has to wait.

use crate::support::{Answer, Replica, Store};
use futures_util::future::join_all;
use serde_json::{Value, json};

#[track_caller]
fn says_so(answer: &Answer) {
    let problem = answer.problem(410, "book-deleted");
    assert!(problem["detail"].as_str().unwrap().contains("deleted for ever"), "{problem}");
    assert_eq!(answer.headers.get("retry-after"), None, "it cannot help to send it again");
}

async fn correct(replica: &Replica, book: u64, qty_delta: i64) -> Answer {
    let body = json!({"qtyDelta": qty_delta, "reason": "lost"});
    replica.post(&format!("/books/{book}/corrections"), body).await
}

#[tokio::test]
async fn a_command_for_a_deleted_book_says_so_whether_the_book_is_remembered_or_not() {
    let store = Store::start().await;
    let remembering = Replica::start(&store).await;
    for book in 1..=4 {
        remembering.warehouse_keyed(book, 5, "k").await.ok(201);
        store.delete_for_ever(book).await;
    }
    // It is learnt by an append, by the look that a refusal needs, by a repeat, and by looking at the book.
    says_so(&remembering.warehouse(1, 5).await);
    says_so(&correct(&remembering, 2, -7).await);
    says_so(&remembering.warehouse_keyed(3, 5, "k").await);
    says_so(&remembering.get("/libraries/4").await);
    for replica in [&remembering, &Replica::start(&store).await] {
        for book in 1..=4 {
            says_so(&replica.warehouse(book, 5).await);
            says_so(&replica.warehouse_keyed(book, 5, "k").await);
            says_so(&replica.post(&format!("/books/{book}/renewals"), json!({})).await);
            says_so(&correct(replica, book, -7).await);
            says_so(&replica.get(&format!("/libraries/{book}")).await);
        }
        replica.warehouse(5, 5).await.ok(201);
    }
}

#[tokio::test]
async fn deleted_books_do_not_make_the_store_sick() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    for book in 1..=12 {
        replica.warehouse(book, 5).await.ok(201);
        store.delete_for_ever(book).await;
    }
    // At once: their appends share a session, and the refusal of one ends it for all.
    for answer in join_all((1..=12).map(|book| replica.warehouse(book, 5))).await {
        says_so(&answer);
    }
    replica.warehouse(13, 5).await.ok(201);
}

#[tokio::test]
async fn in_a_list_the_rows_of_a_deleted_book_say_so_and_all_others_are_booked() {
    let store = Store::start().await;
    let remembering = Replica::start(&store).await;
    remembering.warehouse(1, 5).await.ok(201);
    store.delete_for_ever(1).await;
    let rows: String = (0..12).map(|row| format!("{{\"bookId\":{},\"qty\":1}}\n", row % 3 + 1)).collect();
    for (round, replica) in (1..).zip([&remembering, &Replica::start(&store).await]) {
        let answer = replica.send_list(rows.clone()).await;
        let results: Vec<Value> =
            answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(results.len(), 12, "{answer:?}");
        for (row, result) in results.iter().enumerate() {
            let (status, kind) = match row % 3 {
                0 => (json!(410), json!("urn:bookstock:problem:book-deleted")),
                _ => (json!(201), Value::Null),
            };
            assert_eq!((&result["status"], &result["problem"]["type"]), (&status, &kind), "{result}");
        }
        assert_eq!((replica.stock(2).await, replica.stock(3).await), (json!(4 * round), json!(4 * round)));
    }
}
