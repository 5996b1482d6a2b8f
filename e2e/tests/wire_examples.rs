//! What goes over the wire: the examples of the original system, field for field, and problems where they end.
#![cfg(test)]

use e2e::{System, the_examples};
use reqwest::Method;
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn the_originals_examples_answer_field_for_field_at_its_own_addresses() {
    let system = System::start().await;
    the_examples(&system.command_api(), &system.query_api(), &system.admin()).await;
}

#[tokio::test]
async fn the_originals_examples_answer_field_for_field_at_the_gateway() {
    let system = System::start().await;
    let gateway = system.gateway();
    the_examples(&gateway, &gateway, &gateway).await;
}

#[tokio::test]
async fn warehousing_123_and_then_7_makes_130() {
    let system = System::start().await;
    let gateway = system.gateway();
    assert_eq!(gateway.warehouse(1, 123).await.json(201)["stock"], 123);
    let body = gateway.warehouse(1, 7).await.json(201);
    assert_eq!(body["stock"], 130);
    let position = body["position"].as_str().unwrap();
    let shown = gateway.get(&format!("/books/1?minPosition={position}&wait=10000")).await;
    assert_eq!(shown.json(200)["stock"], 130);
    let listed = gateway.get(&format!("/admins/1?minPosition={position}&wait=10000")).await;
    assert_eq!(listed.json(200)["bookStock"], 130);
    assert_eq!(gateway.get("/libraries/1").await.json(200)["stock"], 130);
}

#[tokio::test]
async fn a_mistyped_warehousing_is_corrected_in_both_views() {
    let system = System::start().await;
    let gateway = system.gateway();
    gateway.warehouse(1, 1230).await.json(201);
    let correction = json!({"qtyDelta": -1107, "reason": "1230 instead of 123"});
    let body = gateway.post("/books/1/corrections", &correction).await.json(201);
    assert_eq!(body["stock"], 123);
    let position = body["position"].as_str().unwrap();
    let shown = gateway.get(&format!("/books/1?minPosition={position}&wait=10000")).await;
    assert_eq!(shown.json(200)["stock"], 123);
    let listed = gateway.get(&format!("/admins/1?minPosition={position}&wait=10000")).await;
    assert_eq!(listed.json(200)["bookStock"], 123);
}

#[tokio::test]
async fn a_query_that_carries_a_commands_position_sees_that_command() {
    let system = System::start().await;
    let (commands, queries) = (system.command_api(), system.query_api());
    for stock in 1..=100 {
        let position = commands.warehouse(1, 1).await.json(201)["position"].as_str().unwrap().to_owned();
        for path in ["/books/1?", "/books?"] {
            let shown = queries.get(&format!("{path}minPosition={position}&wait=10000")).await;
            let body = shown.json(200);
            let book = body.pointer("/_embedded/books/0").unwrap_or(&body);
            assert_eq!(book["stock"], stock, "{body}");
            let at: u64 = shown.header("bookstock-position").parse().unwrap();
            assert!(at >= position.parse().unwrap(), "{at} is before {position}");
        }
    }
}

#[tokio::test]
async fn a_query_for_a_position_that_does_not_come_says_that_the_views_are_behind() {
    let system = System::start().await;
    let queries = system.query_api();
    let position =
        system.command_api().warehouse(1, 5).await.json(201)["position"].as_str().unwrap().to_owned();
    queries.get(&format!("/books/1?minPosition={position}&wait=10000")).await.json(200);
    for path in ["/books/1", "/books", "/admins", "/admins/1"] {
        let behind = queries.get(&format!("{path}?minPosition=999999999999&wait=50")).await;
        assert_eq!(behind.problem(503, "projection-behind")["position"], position);
        assert!(behind.header("retry-after").parse::<u32>().unwrap() >= 1);
    }
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong_with_them() {
    let system = System::start().await;
    let gateway = system.gateway();
    gateway.warehouse(1, 5).await.json(201);
    let warehousings = "/books/1/warehousings";
    let too_large = format!(r#"{{"qty":{}1}}"#, " ".repeat(100_000));
    let posts: &[(&str, &str, u16, &str)] = &[
        (warehousings, "{", 400, "malformed-request"),
        (warehousings, "", 400, "malformed-request"),
        (warehousings, "[]", 422, "invalid-field"),
        (warehousings, r#"{}"#, 422, "invalid-field"),
        (warehousings, r#"{"qyt":7}"#, 422, "invalid-field"),
        (warehousings, r#"{"qty":0}"#, 422, "invalid-field"),
        (warehousings, r#"{"qty":-1}"#, 422, "invalid-field"),
        (warehousings, r#"{"qty":1.5}"#, 422, "invalid-field"),
        (warehousings, r#"{"qty":1000001}"#, 422, "invalid-field"),
        (warehousings, r#"{"qty":9223372036854775808}"#, 422, "invalid-field"),
        (warehousings, r#"{"qty":1,"qty":2}"#, 422, "invalid-field"),
        (warehousings, r#"{"qty":1,"version":1.001}"#, 422, "invalid-field"),
        (warehousings, r#"{"qty":1,"version":3.0}"#, 409, "edition-mismatch"),
        (warehousings, &too_large, 413, "body-too-large"),
        ("/books/0/warehousings", r#"{"qty":1}"#, 404, "book-unknown"),
        ("/books/x/warehousings", r#"{"qty":1}"#, 404, "book-unknown"),
        ("/books/1/renewals", r#"{"version":1.0}"#, 409, "edition-not-greater"),
        ("/books/2/renewals", "{}", 404, "book-unknown"),
        ("/books/1/corrections", r#"{"qtyDelta":-5}"#, 422, "invalid-field"),
        ("/books/1/corrections", r#"{"qtyDelta":-6,"reason":"lost"}"#, 409, "stock-below-zero"),
        ("/books/2/corrections", r#"{"qtyDelta":1,"reason":"found"}"#, 404, "book-unknown"),
        ("/libraries", r#"{"bookId":1,"qyt":7}"#, 422, "invalid-field"),
        ("/libraries", r#"{"qty":7}"#, 422, "invalid-field"),
        ("/nowhere", "{}", 404, "no-such-route"),
    ];
    for (path, body, status, name) in posts {
        let answer = gateway.send(Method::POST, path, &[JSON], (*body).to_owned()).await;
        println!("POST {path} {body:.60}");
        answer.problem(*status, name);
    }
    let text =
        gateway.send(Method::POST, warehousings, &[("content-type", "text/plain")], r#"{"qty":1}"#).await;
    text.problem(415, "unsupported-media-type");
    for (method, path) in
        [(Method::DELETE, "/books/1"), (Method::GET, warehousings), (Method::PUT, "/admins")]
    {
        gateway.send(method, path, &[], "").await.problem(405, "method-not-allowed");
    }
    let gets: &[(&str, u16)] = &[
        ("/books/2", 404),
        ("/books/0", 404),
        ("/books/x", 404),
        ("/admins/2", 404),
        ("/libraries/2", 404),
        ("/nowhere", 404),
        ("/books?size=0", 400),
        ("/books?size=1001", 400),
        ("/books?size=many", 400),
        ("/books?page=-1", 400),
        ("/books?sort=nonsense", 400),
        ("/books?sort=stock;DROP%20TABLE%20x", 400),
        ("/books/1?minPosition=soon", 400),
        ("/books/1?minPosition=0&wait=10001", 400),
    ];
    for (path, status) in gets {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, *status, "GET {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "GET {path}");
    }
    assert_eq!(gateway.get("/libraries/1").await.json(200)["stock"], 5);
}
