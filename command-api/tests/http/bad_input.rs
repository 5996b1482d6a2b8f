//! Whatever comes in, the answer names what is wrong with it and nothing fails.

use crate::support::{Answer, Replica, Store};
use reqwest::Method;
use serde_json::json;

const JSON: &str = "application/json";

async fn post(replica: &Replica, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    replica.send(Method::POST, path, content_type, body.into(), &[]).await
}

#[tokio::test]
async fn a_bad_field_is_named() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let (warehousings, renewals, libraries) = ("/books/1/warehousings", "/books/1/renewals", "/libraries");
    let corrections = "/books/1/corrections";
    for (path, body, field) in [
        (warehousings, r#"{}"#, "qty"),
        (warehousings, r#"{"qty":null}"#, "qty"),
        (warehousings, r#"{"qty":0}"#, "qty"),
        (warehousings, r#"{"qty":-1}"#, "qty"),
        (warehousings, r#"{"qty":1000001}"#, "qty"),
        (warehousings, r#"{"qty":1.5}"#, "qty"),
        (warehousings, r#"{"qty":1e2}"#, "qty"),
        (warehousings, r#"{"qty":99999999999999999999999999999999999999}"#, "qty"),
        (warehousings, r#"{"qty":true}"#, "qty"),
        (warehousings, r#"{"qty":[1]}"#, "qty"),
        (warehousings, r#"{"qty":"many"}"#, "qty"),
        (warehousings, r#"{"qty":1,"qty":1}"#, "qty"),
        (warehousings, r#"{"qty":1,"version":0}"#, "version"),
        (warehousings, r#"{"qty":1,"version":1.001}"#, "version"),
        (warehousings, r#"{"qty":1,"version":"latest"}"#, "version"),
        (warehousings, r#"{"qty":1,"version":{}}"#, "version"),
        (warehousings, r#"{"qty":1,"name":""}"#, "name"),
        (warehousings, r#"{"qty":1,"name":7}"#, "name"),
        (warehousings, r#"{"qty":1,"name":"a\nb"}"#, "name"),
        (warehousings, r#"{"qty":1,"name":"\ud800"}"#, "name"),
        (warehousings, r#"{"qty":1,"quantity":1}"#, "quantity"),
        (warehousings, r#"{"qty":1,"bookId":2}"#, "bookId"),
        (renewals, r#"{"qty":1}"#, "qty"),
        (renewals, r#"{"version":-2}"#, "version"),
        (corrections, r#"{"reason":"lost"}"#, "qtyDelta"),
        (corrections, r#"{"qtyDelta":0,"reason":"lost"}"#, "qtyDelta"),
        (corrections, r#"{"qtyDelta":1000000001,"reason":"lost"}"#, "qtyDelta"),
        (corrections, r#"{"qtyDelta":1.5,"reason":"lost"}"#, "qtyDelta"),
        (corrections, r#"{"qtyDelta":-1}"#, "reason"),
        (corrections, r#"{"qtyDelta":-1,"reason":null}"#, "reason"),
        (corrections, r#"{"qtyDelta":-1,"reason":" "}"#, "reason"),
        (corrections, r#"{"qtyDelta":-1,"reason":"a\nb"}"#, "reason"),
        (corrections, r#"{"qtyDelta":-1,"reason":"lost","qty":1}"#, "qty"),
        (libraries, r#"{"qty":1}"#, "bookId"),
        (libraries, r#"{"bookId":0,"qty":1}"#, "bookId"),
        (libraries, r#"{"bookId":9007199254740992,"qty":1}"#, "bookId"),
        (libraries, r#"{"bookId":"","qty":1}"#, "bookId"),
        (libraries, r#"{"bookId":1,"qyt":1}"#, "qyt"),
        (libraries, r#"{"bookId":1,"qty":""}"#, "qty"),
        (libraries, r#"{"bookId":1,"name":"A"}"#, "name"),
    ] {
        let answer = post(&replica, path, JSON, body).await;
        let problem = answer.problem(422, "invalid-field");
        assert_eq!(problem["field"], field, "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(field), "{body}: {problem}");
    }
    let long = "q".repeat(10_000);
    let reason = "책".repeat(501);
    let answer = post(&replica, corrections, JSON, format!(r#"{{"qtyDelta":1,"reason":"{reason}"}}"#)).await;
    let problem = answer.problem(422, "invalid-field");
    assert_eq!(problem["field"], "reason");
    assert!(problem["detail"].as_str().unwrap().contains("at most 500 characters, not 501"), "{problem}");
    let answer = post(&replica, libraries, JSON, format!(r#"{{"{long}":"{long}"}}"#)).await;
    assert!(answer.problem(422, "invalid-field").to_string().len() < 500);
    assert!(store.events(1).await.is_empty());
}

#[tokio::test]
async fn a_body_that_is_no_command_is_told_what_it_is_not() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    for path in ["/books/1/warehousings", "/books/1/renewals", "/books/1/corrections", "/libraries"] {
        for (status, content_type, body) in [
            (400, JSON, b"{".to_vec()),
            (400, JSON, b"{\"qty\":1}}".to_vec()),
            (400, JSON, b"{\"qty\":0123}".to_vec()),
            (400, JSON, b"\xff\xfe".to_vec()),
            (400, JSON, b"{\"\\ud800\":1}".to_vec()),
            (400, JSON, "[".repeat(60_000).into_bytes()),
            (400, JSON, format!("{}1{}", "{\"a\":".repeat(9_000), "}".repeat(8_999)).into_bytes()),
            (422, JSON, b"[]".to_vec()),
            (422, JSON, b"7".to_vec()),
            (422, JSON, b"null".to_vec()),
            (415, "text/plain", b"{\"qty\":1}".to_vec()),
            (415, "", b"{\"qty\":1}".to_vec()),
            (413, JSON, format!("{{\"qty\":{}}}", " ".repeat(100_000)).into_bytes()),
        ] {
            let answer = post(&replica, path, content_type, body.clone()).await;
            assert_eq!(
                answer.status,
                status,
                "{path} {:?}",
                String::from_utf8_lossy(&body[..body.len().min(40)])
            );
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
    }
    post(&replica, "/libraries", "", "").await.problem(415, "unsupported-media-type");
    post(&replica, "/libraries", JSON, "").await.problem(400, "malformed-request");
    assert!(store.events(1).await.is_empty());
}

#[tokio::test]
async fn a_path_that_names_no_book_is_not_found() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    for id in ["0", "01", "-1", "1.0", "x", "%00", "%ff", "9007199254740992", "1%2F2", "책"] {
        for route in ["warehousings", "renewals", "corrections"] {
            let answer = replica.post(&format!("/books/{id}/{route}"), json!({"qty": 1})).await;
            answer.problem(404, "book-unknown");
        }
        replica.get(&format!("/libraries/{id}")).await.problem(404, "book-unknown");
    }
    replica.get("/libraries").await.problem(405, "method-not-allowed");
    replica.get("/nowhere").await.problem(404, "no-such-route");
}

#[tokio::test]
async fn a_bad_header_is_told() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let long = "k".repeat(256);
    for (name, value) in
        [("idempotency-key", ""), ("idempotency-key", "a b"), ("idempotency-key", &long), ("if-match", "x")]
    {
        let answer = replica.post_with("/books/1/warehousings", json!({"qty": 1}), &[(name, value)]).await;
        answer.problem(400, "malformed-request");
    }
    let headers = [("x-request-id", "not an id"), ("traceparent", "00-00")];
    replica.post_with("/books/1/warehousings", json!({"qty": 1}), &headers).await.ok(201);
}

#[tokio::test]
async fn a_librarian_who_reads_korean_is_told_in_korean() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let korean = [("accept-language", "ko-KR,ko;q=0.9,en;q=0.5")];
    for (path, body, status, name, detail) in [
        (
            "/books/1/warehousings",
            r#"{"qty":0}"#,
            422,
            "invalid-field",
            "qty: 수량은 1부터 1000000까지의 정수입니다(받은 값: 0).",
        ),
        (
            "/books/1/warehousings",
            r#"{"qyt":1}"#,
            422,
            "invalid-field",
            "\"qyt\" 필드는 없습니다. 쓸 수 있는 필드: qty, version, name.",
        ),
        (
            "/books/1/renewals",
            "{}",
            404,
            "book-unknown",
            "1번 도서는 입고된 적이 없습니다. 먼저 입고하십시오.",
        ),
    ] {
        let answer = replica.send(Method::POST, path, JSON, body.into(), &korean).await;
        assert_eq!(answer.problem(status, name)["detail"], detail);
        assert_eq!((answer.header("content-language"), answer.header("vary")), ("ko", "Accept-Language"));
    }
    let answer = replica.send(Method::POST, "/books/1/renewals", JSON, "{}".into(), &[]).await;
    assert_eq!(answer.problem(404, "book-unknown")["title"], "The library has no such book");
    assert_eq!(answer.header("content-language"), "en");
}
