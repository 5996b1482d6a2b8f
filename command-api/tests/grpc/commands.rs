//! What a call does: the same as a request over HTTP.

use crate::client::{
    CorrectRequest, GetBookRequest, RenewRequest, WarehouseRequest, client, copies, details, text, with,
};
use crate::support::{Replica, Store, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use tonic::{Code, Request};

#[tokio::test]
async fn a_book_is_warehoused_renewed_corrected_and_got() {
    let store = Store::start().await;
    let replica = Replica::start_with(&store, Some("이름 없는 책")).await;
    let mut client = client(&replica).await;

    let booked = client.warehouse(copies(123)).await.unwrap().into_inner();
    assert!(!booked.replayed);
    let book = booked.book.unwrap();
    assert_eq!((book.book_id, book.stock, book.revision, book.version.as_str()), (1, 123, 0, "1.0"));
    assert_eq!(book.name.as_deref(), Some("이름 없는 책"));

    let named =
        WarehouseRequest {
            name: Some("해리 포터".to_owned()), version: Some("1".to_owned()), ..copies(7)
        };
    let book = client.warehouse(named).await.unwrap().into_inner().book.unwrap();
    assert_eq!((book.stock, book.name.as_deref()), (130, Some("해리 포터")));

    let renewal = RenewRequest { book_id: 1, version: Some("2.5".to_owned()), expected_revision: None };
    let book = client.renew(renewal).await.unwrap().into_inner().book.unwrap();
    assert_eq!((book.stock, book.version.as_str()), (100, "2.5"));

    let correction =
        CorrectRequest { book_id: 1, qty_delta: -2, reason: "lost".to_owned(), expected_revision: None };
    let book = client.correct(correction).await.unwrap().into_inner().book.unwrap();
    assert_eq!((book.stock, book.revision), (98, 3));

    assert_eq!(client.get_book(GetBookRequest { book_id: 1 }).await.unwrap().into_inner(), book);
    let over_http = replica.get("/libraries/1").await.ok(200);
    assert_eq!((&over_http["stock"], &over_http["position"]), (&json!(98), &json!(book.position)));
}

#[tokio::test]
async fn a_repeat_is_booked_once_whichever_way_it_comes_in() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut client = client(&replica).await;
    let key = [("idempotency-key", "delivery-7")];

    let first = client.warehouse(with(copies(5), &key)).await.unwrap().into_inner();
    let again = client.warehouse(with(copies(5), &key)).await.unwrap().into_inner();
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.book, again.book);

    let over_http = replica.warehouse_keyed(1, 5, "delivery-7").await;
    assert_eq!(
        (&over_http.ok(201)["revision"], over_http.header("idempotency-replayed")),
        (&json!(0), "true")
    );
    replica.warehouse_keyed(1, 6, "delivery-8").await.ok(201);
    assert!(
        client
            .warehouse(with(copies(6), &[("idempotency-key", "delivery-8")]))
            .await
            .unwrap()
            .into_inner()
            .replayed
    );

    let other = client.warehouse(with(copies(6), &key)).await.unwrap_err();
    details(&other, Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(store.events(1).await.len(), 2);
}

#[tokio::test]
async fn a_command_for_another_revision_than_expected_is_not_booked() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut client = client(&replica).await;
    client.warehouse(copies(5)).await.unwrap();

    let late =
        client.warehouse(WarehouseRequest { expected_revision: Some(7), ..copies(1) }).await.unwrap_err();
    let facts = details(&late, Code::Aborted, "REVISION_MISMATCH").error_info().unwrap().metadata.clone();
    assert_eq!((facts["revision"].as_str(), text(late.metadata(), "etag")), ("0", "\"0\""));
    let late = client.warehouse(with(copies(1), &[("if-none-match", "*")])).await.unwrap_err();
    details(&late, Code::Aborted, "REVISION_MISMATCH");

    client.warehouse(WarehouseRequest { expected_revision: Some(0), ..copies(1) }).await.unwrap();
    client.warehouse(with(copies(1), &[("if-match", "\"1\"")])).await.unwrap();
    assert_eq!(replica.stock(1).await, 7);
}

#[tokio::test]
async fn of_a_book_that_is_deleted_for_ever_no_call_says_when_to_come_back() {
    let store = Store::start().await;
    let remembering = Replica::start(&store).await;
    client(&remembering).await.warehouse(copies(5)).await.unwrap();
    store.delete_for_ever(1).await;
    for replica in [&remembering, &Replica::start(&store).await] {
        let mut client = client(replica).await;
        for status in [
            client.warehouse(copies(5)).await.unwrap_err(),
            client.get_book(GetBookRequest { book_id: 1 }).await.unwrap_err(),
        ] {
            let told = details(&status, Code::FailedPrecondition, "BOOK_DELETED");
            assert!(told.retry_info().is_none(), "{status:?}");
        }
        client.warehouse(WarehouseRequest { book_id: 2, ..copies(5) }).await.unwrap();
    }
}

#[tokio::test]
async fn an_event_tells_which_call_it_came_from() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut client = client(&replica).await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let metadata = [("x-request-id", "call-1"), ("traceparent", traceparent), ("idempotency-key", "k")];
    let answer = client.warehouse(with(copies(5), &metadata)).await.unwrap();
    assert_eq!(text(answer.metadata(), "x-request-id"), "call-1");
    let event: Value = serde_json::from_slice(&store.events(1).await[0].metadata).unwrap();
    assert_eq!((&event["$correlationId"], &event["idempotencyKey"]), (&json!("call-1"), &json!("k")));
    assert_eq!(event["traceparent"], traceparent);
    // One is made for who brings none.
    assert!(!text(client.warehouse(copies(5)).await.unwrap().metadata(), "x-request-id").is_empty());
}

#[tokio::test]
async fn a_caller_who_waits_for_a_short_time_is_told_the_key_of_an_unknown_outcome() {
    let store = Store::start().await;
    // By itself it would be more patient.
    let replica = Replica::start(&store).await;
    let mut client = client(&replica).await;
    let mut book_id = 0;
    let mut unknown = None;
    eventually("an answer arrives before the caller has gone", async || {
        book_id += 1;
        client.warehouse(WarehouseRequest { book_id, ..copies(5) }).await.unwrap();
        store.freeze().await;
        let mut call = Request::new(WarehouseRequest { book_id, ..copies(7) });
        call.set_timeout(Duration::from_secs(2));
        unknown = client.warehouse(call).await.err().filter(|status| !status.details().is_empty());
        store.thaw().await;
        unknown.is_some()
    })
    .await;
    let unknown = unknown.unwrap();
    let told = details(&unknown, Code::DeadlineExceeded, "OUTCOME_UNKNOWN");
    let key = told.error_info().unwrap().metadata["idempotencyKey"].clone();
    let again = with(WarehouseRequest { book_id, ..copies(7) }, &[("idempotency-key", &key)]);
    assert_eq!(client.warehouse(again).await.unwrap().into_inner().book.unwrap().stock, 12);
    assert_eq!(store.events(book_id).await.len(), 2);
}

#[tokio::test]
async fn a_sick_store_is_told_with_when_to_come_back() {
    let mut store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    let mut client = client(&replica).await;
    replica.booked(1, 5, "first").await;

    store.freeze().await;
    let unknown = client.warehouse(copies(7)).await.unwrap_err();
    let told = details(&unknown, Code::DeadlineExceeded, "OUTCOME_UNKNOWN");
    assert!(told.retry_info().unwrap().retry_delay.is_some());
    let key = told.error_info().unwrap().metadata["idempotencyKey"].clone();
    assert_eq!(text(unknown.metadata(), "idempotency-key"), key);
    store.thaw().await;
    eventually("the command is booked", async || {
        client.clone().warehouse(with(copies(7), &[("idempotency-key", &key)])).await.is_ok()
    })
    .await;
    assert_eq!(store.events(1).await.len(), 2);

    store.kill().await;
    let out = client.get_book(GetBookRequest { book_id: 1 }).await.unwrap_err();
    let told = details(&out, Code::Unavailable, "EVENT_STORE_UNAVAILABLE");
    assert_eq!(told.retry_info().unwrap().retry_delay.unwrap().as_secs(), 1);
}
