//! Whatever comes in, the status names what is wrong with it and nothing fails.

use crate::client::books::Booked;
use crate::client::{
    CorrectRequest, GetBookRequest, RenewRequest, WarehouseRequest, channel, client, copies, details, with,
};
use crate::support::{Replica, Store};
use prost::Message;
use tokio_stream::{Stream, StreamExt as _};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

#[tokio::test]
async fn a_bad_field_is_named() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let client = client(&replica).await;
    let warehouse = async |request| client.clone().warehouse(request).await.unwrap_err();
    let renew = async |request| client.clone().renew(request).await.unwrap_err();
    let correct = async |request| client.clone().correct(request).await.unwrap_err();
    let text = |text: &str| Some(text.to_owned());
    let correction =
        || CorrectRequest { book_id: 1, qty_delta: 1, reason: "lost".to_owned(), expected_revision: None };
    for (status, field) in [
        (warehouse(WarehouseRequest { book_id: 0, ..copies(1) }).await, "book_id"),
        (warehouse(WarehouseRequest { book_id: 1 << 53, ..copies(1) }).await, "book_id"),
        (warehouse(copies(0)).await, "qty"),
        (warehouse(copies(u64::MAX)).await, "qty"),
        (warehouse(WarehouseRequest { version: text("1.001"), ..copies(1) }).await, "version"),
        (warehouse(WarehouseRequest { version: text(&"9".repeat(50_000)), ..copies(1) }).await, "version"),
        (warehouse(WarehouseRequest { name: text(""), ..copies(1) }).await, "name"),
        (warehouse(WarehouseRequest { name: text("a\nb"), ..copies(1) }).await, "name"),
        (
            renew(RenewRequest { book_id: 1, version: text("latest"), expected_revision: None }).await,
            "version",
        ),
        (correct(CorrectRequest { qty_delta: 0, ..correction() }).await, "qty_delta"),
        (correct(CorrectRequest { qty_delta: i64::MIN, ..correction() }).await, "qty_delta"),
        (correct(CorrectRequest { reason: String::new(), ..correction() }).await, "reason"),
        (correct(CorrectRequest { reason: "책".repeat(501), ..correction() }).await, "reason"),
    ] {
        let details = details(&status, Code::InvalidArgument, "INVALID_FIELD");
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(
            violations.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(),
            [field],
            "{status:?}"
        );
        assert!(status.message().len() < 500, "{status:?}");
    }
    assert!(store.events(1).await.is_empty());
}

/// What becomes of a call that brings these messages.
async fn answer<M: Message + 'static>(
    replica: &Replica,
    messages: impl Stream<Item = M> + Send + 'static,
) -> Status {
    let mut grpc = Grpc::new(channel(replica).await);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/bookstock.v1.Books/Warehouse");
    let codec = ProstCodec::<M, Booked>::default();
    grpc.client_streaming(Request::new(messages), path, codec).await.unwrap_err()
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_its_callers_fault() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    // A text in the place of the number of the book.
    let other = answer(&replica, tokio_stream::once("one".to_owned())).await;
    details(&other, Code::InvalidArgument, "MALFORMED_REQUEST");
    let none = answer(&replica, tokio_stream::empty::<WarehouseRequest>()).await;
    details(&none, Code::InvalidArgument, "MALFORMED_REQUEST");
    let two = answer(&replica, tokio_stream::iter([copies(1), copies(1)])).await;
    details(&two, Code::InvalidArgument, "MALFORMED_REQUEST");
    let huge = WarehouseRequest { name: Some("a".repeat(70_000)), ..copies(1) };
    details(&answer(&replica, tokio_stream::once(huge)).await, Code::OutOfRange, "BODY_TOO_LARGE");
    assert!(store.events(1).await.is_empty());
}

#[tokio::test]
async fn a_message_that_does_not_come_is_not_waited_for() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let never = tokio_stream::pending::<WarehouseRequest>();
    details(&answer(&replica, never).await, Code::Cancelled, "BODY_TOO_SLOW");
    let late = tokio_stream::once(copies(1)).chain(tokio_stream::pending());
    details(&answer(&replica, late).await, Code::Cancelled, "BODY_TOO_SLOW");
    assert!(store.events(1).await.is_empty());
}

#[tokio::test]
async fn each_refusal_has_its_code_and_its_reason() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut client = client(&replica).await;
    let unknown = client.get_book(GetBookRequest { book_id: 2 }).await.unwrap_err();
    details(&unknown, Code::NotFound, "BOOK_UNKNOWN");
    client.warehouse(copies(5)).await.unwrap();
    let other = WarehouseRequest { version: Some("2".to_owned()), ..copies(1) };
    let refused =
        details(&client.warehouse(other).await.unwrap_err(), Code::FailedPrecondition, "EDITION_MISMATCH");
    assert_eq!(refused.error_info().unwrap().metadata["currentVersion"], "1.0");
    let too_many =
        CorrectRequest { book_id: 1, qty_delta: -6, reason: "lost".to_owned(), expected_revision: None };
    details(&client.correct(too_many).await.unwrap_err(), Code::FailedPrecondition, "STOCK_BELOW_ZERO");
    let back = RenewRequest { book_id: 1, version: Some("0.5".to_owned()), expected_revision: None };
    details(&client.renew(back).await.unwrap_err(), Code::FailedPrecondition, "EDITION_NOT_GREATER");
    for metadata in [("idempotency-key", "a b"), ("if-match", "3")] {
        let refused = client.warehouse(with(copies(1), &[metadata])).await.unwrap_err();
        details(&refused, Code::InvalidArgument, "MALFORMED_REQUEST");
    }
}

#[tokio::test]
async fn people_are_told_in_their_language_and_developers_in_english() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let korean = [("accept-language", "ko-KR,ko;q=0.9")];
    let refused: Status = client(&replica).await.warehouse(with(copies(0), &korean)).await.unwrap_err();
    assert_eq!(refused.message(), "qty: a qty is a whole number from 1 to 1000000, not 0.");
    let details = details(&refused, Code::InvalidArgument, "INVALID_FIELD");
    let told = details.localized_message().unwrap();
    let expected = ("ko", "qty: 수량은 1부터 1000000까지의 정수입니다(받은 값: 0).");
    assert_eq!((told.locale.as_str(), told.message.as_str()), expected);
}
