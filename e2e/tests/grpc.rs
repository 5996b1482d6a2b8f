//! Commands over gRPC, through the launcher, by a client generated from the definition.
#![cfg(test)]

use books::books_client::BooksClient;
use books::{Booked, GetBookRequest, WarehouseRequest};
use e2e::{Identity, PATIENCE, Place, System, eventually};
use event_store::{Direction, EventStore as _, Kurrent, Options, Start};
use serde_json::{Value, json};
use std::sync::Arc;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::wildcard_enum_match_arm, reason = "generated")]
mod books {
    include!(concat!(env!("OUT_DIR"), "/bookstock.v1.rs"));
}

async fn channel(system: &System) -> Channel {
    Channel::from_shared(system.address("grpc").to_owned()).unwrap().connect().await.unwrap()
}

fn copies(qty: u64) -> WarehouseRequest {
    WarehouseRequest { book_id: 1, qty, ..WarehouseRequest::default() }
}

fn by<T>(token: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

/// Warehouses so many copies of book 1 under this key, again and again while the store is too busy.
async fn warehouse(
    client: &BooksClient<Channel>,
    token: Option<&str>,
    qty: u64,
    key: &str,
) -> Result<Booked, Status> {
    eventually("a call is answered", async || {
        let mut call = by(token, copies(qty));
        call.metadata_mut().insert("idempotency-key", key.parse().unwrap());
        match client.clone().warehouse(call).await {
            Err(busy) if matches!(busy.code(), Code::Unavailable | Code::DeadlineExceeded) => {
                Err(busy.to_string())
            }
            answer => Ok(answer.map(Response::into_inner)),
        }
    })
    .await
}

#[tokio::test]
async fn what_is_booked_over_grpc_is_what_queries_show_and_a_repeat_over_http_finds() {
    let system = System::start().await;
    let mut client = BooksClient::new(channel(&system).await);
    let book = warehouse(&client, None, 123, "delivery-7").await.unwrap().book.unwrap();
    assert_eq!((book.stock, book.revision), (123, 0));

    let path = format!("/books/1?minPosition={}&wait=10000", book.position);
    assert_eq!(system.gateway().get(&path).await.json(200)["stock"], 123);
    let (desk, body) = (system.gateway(), json!({"qty": 123}));
    let again = eventually("it is answered again", async || {
        let answer = desk.post_keyed("/books/1/warehousings", &body, Some("delivery-7")).await?;
        answer.wanted(201).map(|_| answer)
    })
    .await;
    assert_eq!((&again.json(201)["revision"], again.header("idempotency-replayed")), (&json!(0), "true"));
    assert_eq!(client.get_book(GetBookRequest { book_id: 1 }).await.unwrap().into_inner(), book);
}

#[tokio::test]
async fn each_call_opens_to_whom_its_table_names_and_the_event_tells_who_it_was() {
    let place = Arc::new(Place::new());
    let identity = Identity::start(&place).await;
    let system = System::start_with(place, &[("AUTH_ISSUER", identity.issuer())]).await;
    let mut client = BooksClient::new(channel(&system).await);
    let reader = identity.token("reader", "books:read").await;
    let librarian = identity.token("librarian", "books:read books:write").await;
    let operator = identity.token("operator", "ops").await;
    for (token, warehousing, getting) in [
        (None, Code::Unauthenticated, Code::Unauthenticated),
        (Some("not.a.token"), Code::Unauthenticated, Code::Unauthenticated),
        (Some(reader.as_str()), Code::PermissionDenied, Code::NotFound),
        (Some(librarian.as_str()), Code::Ok, Code::Ok),
        (Some(operator.as_str()), Code::PermissionDenied, Code::PermissionDenied),
    ] {
        let answer = warehouse(&client, token, 5, "delivery-7").await;
        assert_eq!(
            answer.map(drop).map_or_else(|status| status.code(), |()| Code::Ok),
            warehousing,
            "{token:?}"
        );
        let answer = client.get_book(by(token, GetBookRequest { book_id: 1 })).await.map(drop);
        assert_eq!(answer.map_or_else(|status| status.code(), |()| Code::Ok), getting, "{token:?}");
    }
    let refused = client.warehouse(copies(5)).await.unwrap_err();
    assert!(refused.metadata().get("www-authenticate").unwrap().to_str().unwrap().starts_with("Bearer"));

    let mut health = HealthClient::new(channel(&system).await);
    let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);

    let patient = Options { call_timeout: PATIENCE, ..Options::default() };
    let store = Kurrent::connect(system.address("eventStore"), patient).unwrap();
    let events = store.read_stream("book-1", Start::Beginning, Direction::Forwards, 10).await.unwrap();
    let metadata: Value = serde_json::from_slice(&events[0].metadata).unwrap();
    assert_eq!(metadata["actor"], Identity::subject(&librarian), "{metadata}");
}
