//! What goes over the wire when all is well: the original's examples, and our own routes.

use crate::support::{PATIENCE, Replica, Store};
use event_store::Position;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn the_originals_commands_are_answered_field_for_field() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let href = replica.url("/libraries/1");
    let links = json!({"library": {"href": href}, "self": {"href": href}});

    // HTTPie sends numbers as strings.
    let warehoused =
        replica.post("/libraries", json!({"id": "1", "bookId": "1", "qty": "123", "version": "1.0"})).await;
    let body = warehoused.ok(201);
    assert_eq!(warehoused.header("location"), href);
    assert_eq!(warehoused.header("content-type"), "application/json");
    assert_eq!((&body["_links"], &body["bookId"], &body["qty"]), (&links, &json!(1), &json!(123)));
    assert!(warehoused.text.contains(r#""version":1.0"#), "{}", warehoused.text);

    let renewed = replica.post("/libraries", json!({"id": "1", "bookId": "1", "version": "2.0"})).await;
    let body = renewed.ok(201);
    assert_eq!(renewed.header("location"), href);
    assert_eq!((&body["_links"], &body["bookId"], &body["qty"]), (&links, &json!(1), &json!(null)));
    assert!(body.as_object().unwrap().contains_key("qty"));
    assert!(renewed.text.contains(r#""version":2.0"#), "{}", renewed.text);

    let library = replica.get("/libraries/1").await;
    let body = library.ok(200);
    assert_eq!(library.header("content-type"), "application/hal+json");
    assert_eq!((&body["_links"], &body["bookId"], &body["qty"]), (&links, &json!(1), &json!(null)));
    assert_eq!(body["stock"], 100);
    assert!(library.text.contains(r#""version":2.0"#), "{}", library.text);
}

#[tokio::test]
async fn behind_a_gateway_the_links_are_the_gateways() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let forwarded = [("x-forwarded-host", "books.example"), ("x-forwarded-proto", "https")];
    let answer = replica.post_with("/libraries", json!({"bookId": 3, "qty": 1}), &forwarded).await;
    answer.ok(201);
    assert_eq!(answer.header("location"), "https://books.example/libraries/3");
}

#[tokio::test]
async fn warehousing_123_and_then_7_makes_130() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    assert_eq!(replica.warehouse(1, 123).await.ok(201)["stock"], 123);
    let answer = replica.warehouse(1, 7).await;
    assert_eq!(answer.ok(201)["stock"], 130);
    assert_eq!(replica.stock(1).await, 130);
}

#[tokio::test]
async fn a_commands_answer_tells_the_book_and_its_place() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let path = "/books/42/warehousings";
    let first = replica.post(path, json!({"qty": 5, "version": 1.25, "name": "해리 포터"})).await;
    let body = first.ok(201);
    let position = body["position"].as_str().unwrap().to_owned();
    let expected = json!({"bookId": 42, "name": "해리 포터", "version": 1.25, "stock": 5, "revision": 0, "position": position});
    assert_eq!(body, expected);
    assert_eq!(first.header("location"), "/books/42");
    assert_eq!(first.header("etag"), "\"0\"");
    assert_eq!(first.header("bookstock-position"), position);

    let second = replica.send(Method::POST, "/books/42/renewals", "", Vec::new(), &[]).await;
    let body = second.ok(201);
    assert!(second.text.contains(r#""version":2.0"#), "{}", second.text);
    assert_eq!(
        (&body["stock"], &body["revision"], &body["name"]),
        (&json!(100), &json!(1), &json!("해리 포터"))
    );
    assert_eq!(second.header("etag"), "\"1\"");
    let later: Position = body["position"].as_str().unwrap().parse().unwrap();
    assert!(later > position.parse().unwrap());
}

#[tokio::test]
async fn an_answer_without_a_body_says_by_its_headers_what_matters() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    for (path, body) in [
        ("/books/1/warehousings", json!({"qty": 5})),
        ("/books/1/renewals", json!({})),
        ("/books/1/corrections", json!({"qtyDelta": -1, "reason": "lost"})),
        ("/libraries", json!({"bookId": 1, "qty": 5})),
    ] {
        let answer = replica.post_with(path, body, &[("prefer", "return=minimal")]).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (201, ""), "{path}");
        assert_eq!(answer.header("preference-applied"), "return=minimal");
        for name in ["location", "etag", "bookstock-position"] {
            assert!(answer.headers.contains_key(name), "{path}: no {name}");
        }
        assert!(!answer.headers.contains_key("content-type"), "{path}");
    }
    let whole =
        replica.post_with("/books/1/renewals", json!({}), &[("prefer", "return=representation")]).await;
    assert_eq!(whole.ok(201)["stock"], 100);
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let named = async |path: &str| {
        replica
            .post_with(path, json!({"qty": 1}), &[("x-request-id", "req-1")])
            .await
            .header("x-request-id")
            .to_owned()
    };
    for path in ["/books/1/warehousings", "/books/x/warehousings", "/nowhere", "/books/1/renewals"] {
        assert_eq!(named(path).await, "req-1", "{path}");
    }
    let (first, second) = (replica.warehouse(1, 1).await, replica.warehouse(1, 1).await);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    let events = store.events(1).await;
    let metadata: serde_json::Value = serde_json::from_slice(&events.last().unwrap().metadata).unwrap();
    assert_eq!(metadata["$correlationId"], second.header("x-request-id"));
}

#[tokio::test]
async fn a_renewal_takes_the_version_it_is_given_or_the_next_whole_one() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    replica.warehouse(1, 1).await.ok(201);
    let path = "/books/1/renewals";
    assert_eq!(replica.post(path, json!({"version": "1.50"})).await.ok(201)["version"], json!(1.5));
    assert_eq!(replica.post(path, json!({"version": null})).await.ok(201)["version"], json!(2.0));
    assert_eq!(replica.post(path, json!({})).await.ok(201)["version"], json!(3.0));
    // A body that was not said to be empty, and is.
    for (version, media_type) in [("4.0", ""), ("5.0", "content-type: application/json\r\n")] {
        let mut connection = TcpStream::connect(replica.addr()).await.unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{media_type}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, connection.read_to_string(&mut answer)).await.expect("it answers").unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(answer.contains(&format!("\"version\":{version}")), "{answer}");
    }
}

#[tokio::test]
async fn a_correction_puts_the_stock_right_and_its_reason_is_kept() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    replica.warehouse(1, 1_230).await.ok(201);
    let correction = json!({"qtyDelta": "-1107", "reason": " 1230 대신 123 "});
    let answer = replica.post("/books/1/corrections", correction).await;
    assert_eq!((&answer.ok(201)["stock"], &answer.ok(201)["revision"]), (&json!(123), &json!(1)));
    assert_eq!((answer.header("etag"), answer.header("location")), ("\"1\"", "/books/1"));
    let library = replica.get("/libraries/1").await.ok(200);
    assert_eq!((&library["qty"], &library["stock"]), (&json!(null), &json!(123)));
    let event = &store.events(1).await[1];
    let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
    assert_eq!(event.event_type, "Corrected");
    assert_eq!((&data["qtyDelta"], &data["reason"]), (&json!(-1107), &json!("1230 대신 123")));
    assert_eq!(replica.warehouse(1, 7).await.ok(201)["stock"], 130);
}

#[tokio::test]
async fn a_new_book_has_the_configured_name_unless_its_command_says_another() {
    let store = Store::start().await;
    let replica = Replica::start_with(&store, Some("HarryPorter")).await;
    assert_eq!(replica.warehouse(1, 1).await.ok(201)["name"], "HarryPorter");
    let named = replica.post("/libraries", json!({"bookId": 2, "qty": 1, "name": "Other"})).await;
    assert_eq!(named.ok(201)["name"], "Other");
    assert_eq!(replica.warehouse(2, 1).await.ok(201)["name"], "Other");
}

#[tokio::test]
async fn the_library_shows_the_last_event_straight_from_the_stream() {
    let store = Store::start().await;
    let (writer, reader) = (Replica::start(&store).await, Replica::start(&store).await);
    reader.get("/libraries/1").await.problem(404, "book-unknown");
    writer.warehouse(1, 3).await.ok(201);
    writer.warehouse(1, 4).await.ok(201);
    let library = reader.get("/libraries/1").await;
    let body = library.ok(200);
    assert_eq!((&body["qty"], &body["stock"]), (&json!(4), &json!(7)));
    assert_eq!(library.header("etag"), "\"1\"");
}
