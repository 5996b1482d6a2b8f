//! Lists of warehousings in one request.

use crate::support::{Answer, Replica, Store, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::io::AsyncWriteExt as _;

const NDJSON: &str = "application/x-ndjson";

async fn post(
    replica: &Replica,
    path: &str,
    media_type: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Answer {
    replica.send(Method::POST, path, media_type, body.as_bytes().to_vec(), headers).await
}

/// The results, which come in the order of the rows.
fn results(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, NDJSON), "{answer:?}");
    let results: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (number, result) in (1..).zip(&results) {
        assert_eq!(result["row"], number, "{result}");
    }
    results
}

fn statuses(answer: &Answer) -> Vec<u64> {
    results(answer).iter().map(|result| result["status"].as_u64().unwrap()).collect()
}

/// How many results there are of each kind: booked, replayed, or the name of the problem.
fn kinds(answer: &Answer) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for result in results(answer) {
        let problem = result["problem"]["type"].as_str().and_then(|name| name.rsplit(':').next());
        let booked = if result["replayed"] == true { "replayed" } else { "booked" };
        *kinds.entry(problem.unwrap_or(booked).to_owned()).or_default() += 1;
    }
    kinds
}

fn of<const N: usize>(kinds: [(&str, usize); N]) -> BTreeMap<String, usize> {
    kinds.map(|(kind, count)| (kind.to_owned(), count)).into()
}

/// `count` rows over `books` books, a copy each.
fn list(count: usize, books: usize) -> String {
    (0..count).map(|row| format!("{{\"bookId\":{},\"qty\":1}}\n", row % books + 1)).collect()
}

#[tokio::test]
async fn a_list_comes_in_three_forms_and_each_row_has_its_result() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let json =
        r#"[{"bookId":1,"qty":5,"name":"A"},{"bookId":"2","qty":"7","version":1.5},{"bookId":1,"qty":1}]"#;
    let lines = "{\"bookId\":1,\"qty\":5,\"name\":\"A\"}\n{\"bookId\":\"2\",\"qty\":\"7\",\"version\":1.5}\n{\"bookId\":1,\"qty\":1}";
    let csv = "bookId,name,qty,version,shelf\r\n1,A,5,,x\r\n2,,7,1.50,\"y, z\"\r\n1,,1,,\r\n";
    for (round, (media_type, body)) in
        (1_u64..).zip([("application/json", json), (NDJSON, lines), ("text/csv; charset=utf-8", csv)])
    {
        let answer = post(&replica, "/warehousings", media_type, body, &[]).await;
        let results = results(&answer);
        assert_eq!(results.len(), 3, "{media_type}: {results:?}");
        let book = |row: usize| &results[row]["answer"];
        assert_eq!((&book(0)["bookId"], &book(0)["name"]), (&json!(1), &json!("A")));
        assert_eq!(book(0)["stock"], 6 * round - 1);
        assert_eq!((&book(1)["stock"], &book(1)["version"]), (&json!(7 * round), &json!(1.5)));
        assert_eq!(book(2)["stock"], 6 * round);
        assert!(results.iter().all(|result| result["status"] == 201), "{results:?}");
    }
}

#[tokio::test]
async fn a_bad_row_refuses_that_row_and_no_other() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let rows = [
        r#"{"bookId":1,"qty":5}"#,
        r#"{"bookId":1,"qty":0}"#,
        r#"{"bookId":1,"qty":1,"version":2.0}"#,
        r#"{"bookId":1,"qty":1,"colour":"red"}"#,
        r#"{"bookId":1"#,
        "[]",
        r#"{"qty":1}"#,
        r#"{"bookId":1,"qty":1,"idempotencyKey":"two words"}"#,
        r#"{"bookId":1,"qty":2}"#,
    ];
    let answer = post(&replica, "/warehousings", NDJSON, &rows.join("\n"), &[]).await;
    assert_eq!(statuses(&answer), [201, 422, 409, 422, 400, 422, 422, 422, 201]);
    let results = results(&answer);
    assert_eq!(results[1]["problem"]["field"], "qty");
    assert_eq!(results[2]["problem"]["type"], "urn:bookstock:problem:edition-mismatch");
    assert_eq!(results[8]["answer"]["stock"], 7);
    assert_eq!(replica.stock(1).await, 7);
}

#[tokio::test]
async fn a_list_that_is_checked_first_is_refused_as_a_whole() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let path = "/warehousings?atomic=check";
    let bad = "{\"bookId\":1,\"qty\":5}\n{\"bookId\":1,\"qty\":0}\n{\"bookId\":2,\"qty\":5}\n7\n";
    let refused = post(&replica, path, NDJSON, bad, &[]).await.problem(422, "rows-refused");
    assert_eq!((&refused["badRows"], &refused["rows"][0]["row"]), (&json!(2), &json!(2)));
    assert_eq!(refused["rows"][1]["problem"]["status"], 422);
    for unfinished in ["[{\"bookId\":1,\"qty\":5}", "{}"] {
        post(&replica, path, "application/json", unfinished, &[]).await.problem(400, "malformed-request");
    }
    replica.get("/libraries/1").await.problem(404, "book-unknown");
    assert_eq!(kinds(&post(&replica, path, NDJSON, &list(300, 7), &[]).await), of([("booked", 300)]));
}

#[tokio::test]
async fn rows_of_one_book_are_booked_in_order_and_in_few_appends() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let rows: String =
        (0..600).map(|row| format!("{{\"bookId\":1,\"qty\":1,\"name\":\"{row}\"}}\n")).collect();
    let answer = post(&replica, "/warehousings", NDJSON, &rows, &[]).await;
    for (index, result) in results(&answer).iter().enumerate() {
        assert_eq!(result["answer"]["revision"], index, "{result}");
        assert_eq!(result["answer"]["name"], index.to_string());
    }
    let events = store.events(1).await;
    let is_last = |event: &&event_store::StoredEvent| {
        serde_json::from_slice::<Value>(&event.metadata).unwrap().get("moreInAppend").is_none()
    };
    let appends = events.iter().filter(is_last).count();
    assert_eq!(events.len(), 600);
    assert!(appends < 60, "{appends} appends");
}

#[tokio::test]
async fn a_list_that_is_sent_again_is_booked_once() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let key = [("idempotency-key", "delivery-7")];
    let rows = list(1_000, 10);
    let first = post(&replica, "/warehousings", NDJSON, &rows, &key).await;
    assert_eq!(kinds(&first), of([("booked", 1_000)]));
    for replica in [&replica, &Replica::start(&store).await] {
        let again = post(replica, "/warehousings", NDJSON, &rows, &key).await;
        assert_eq!(kinds(&again), of([("replayed", 1_000)]));
        for (first, again) in results(&first).iter().zip(results(&again)) {
            assert_eq!(first["answer"], again["answer"]);
        }
    }
    let other = rows.replacen("\"qty\":1", "\"qty\":2", 1);
    let answer = post(&replica, "/warehousings", NDJSON, &other, &key).await;
    assert_eq!(kinds(&answer), of([("idempotency-key-reused", 1), ("replayed", 999)]));
    let own = "{\"bookId\":1,\"qty\":1,\"idempotencyKey\":\"delivery-7:1\"}\n{\"bookId\":1,\"qty\":3,\"idempotencyKey\":\"x\"}";
    let answer = post(&replica, "/warehousings", NDJSON, own, &key).await;
    assert_eq!(kinds(&answer), of([("booked", 1), ("replayed", 1)]));
    assert_eq!(replica.stock(1).await, 103);
}

#[tokio::test]
async fn a_list_that_is_put_right_and_sent_again_books_no_row_twice() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    for (name, media_type, bad, good) in [
        (
            "quote",
            "text/csv",
            "bookId,qty,name\n1,1,a\n2,1,\"cut of\n3,1,\"b\"\n4,1,c\n",
            "bookId,qty,name\n1,1,a\n2,1,\"cut of\"\n3,1,\"b\"\n4,1,c\n",
        ),
        (
            "comma",
            "application/json",
            r#"[{"bookId":1,"qty":1},{"bookId":2,"qty":1}{"bookId":3,"qty":1},{"bookId":4,"qty":1}]"#,
            r#"[{"bookId":1,"qty":1},{"bookId":2,"qty":1},{"bookId":3,"qty":1},{"bookId":4,"qty":1}]"#,
        ),
        (
            "brace",
            "application/json",
            r#"[{"bookId":1,"qty":1},"bookId":2,"qty":1},{"bookId":3,"qty":1},{"bookId":4,"qty":1}]"#,
            r#"[{"bookId":1,"qty":1},{"bookId":2,"qty":1},{"bookId":3,"qty":1},{"bookId":4,"qty":1}]"#,
        ),
        (
            "newline",
            NDJSON,
            "{\"bookId\":1,\"qty\":1}\n{\"bookId\":2,\"qty\":1}{\"bookId\":3,\"qty\":1}\n{\"bookId\":4,\"qty\":1}\n",
            "{\"bookId\":1,\"qty\":1}\n{\"bookId\":2,\"qty\":1}\n{\"bookId\":3,\"qty\":1}\n{\"bookId\":4,\"qty\":1}\n",
        ),
    ] {
        let key = [("idempotency-key", name)];
        // Two rows look like one, or one like two, so the numbers of those behind them would be others than in the list
        // that is put right.
        let first = post(&replica, "/warehousings", media_type, bad, &key).await;
        assert_eq!(statuses(&first), [201, 400], "{name}");
        let again = post(&replica, "/warehousings", media_type, good, &key).await;
        assert_eq!(kinds(&again), of([("booked", 3), ("replayed", 1)]), "{name}");
    }
    for book in 1..=4 {
        assert_eq!(replica.stock(book).await, 4, "{book}");
    }
}

#[tokio::test]
async fn a_book_may_have_many_rows_if_the_list_is_checked_first() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let key = [("idempotency-key", "d")];
    let rows = list(3_000, 1);
    let as_they_come = post(&replica, "/warehousings", NDJSON, &rows, &key).await;
    assert_eq!(kinds(&as_they_come), of([("booked", 1_000), ("too-many-rows-of-a-book", 2_000)]));
    let path = "/warehousings?atomic=check";
    let checked = post(&replica, path, NDJSON, &rows, &key).await;
    assert_eq!(kinds(&checked), of([("booked", 2_000), ("replayed", 1_000)]));
    for _ in 0..999 {
        replica.warehouse(1, 1).await.ok(201);
    }
    for replica in [&replica, &Replica::start(&store).await] {
        assert_eq!(kinds(&post(replica, path, NDJSON, &rows, &key).await), of([("replayed", 3_000)]));
    }
    assert_eq!(replica.stock(1).await, 3_999);
}

#[tokio::test]
async fn when_the_store_is_away_each_row_says_so_and_the_list_can_be_sent_again() {
    let mut store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    replica.booked(3, 1, "first").await;
    store.kill().await;
    let key = [("idempotency-key", "d")];
    let rows = list(90, 3);
    let away = post(&replica, "/warehousings", NDJSON, &rows, &key).await;
    assert!(statuses(&away).iter().all(|status| *status == 503), "{away:?}");
    store.restart().await;
    eventually("the store is back", async || replica.get("/readyz").await.status == 200).await;
    eventually("each row is booked", async || {
        let again = post(&replica, "/warehousings", NDJSON, &rows, &key).await;
        statuses(&again).iter().all(|status| *status == 201)
    })
    .await;
    for book in 1..=3 {
        assert_eq!(replica.stock(book).await, if book == 3 { 31 } else { 30 });
    }
}

#[tokio::test]
async fn rows_of_a_book_that_cannot_be_read_hold_back_no_other() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let event = event_store::NewEvent {
        id: uuid::Uuid::from_u128(1),
        event_type: "Lost".to_owned(),
        content_type: event_store::ContentType::Json,
        data: "{}".into(),
        metadata: "{}".into(),
    };
    use event_store::EventStore as _;
    store.client().append("book-2", event_store::Expected::NoStream, vec![event]).await.unwrap();
    let answer = post(&replica, "/warehousings", NDJSON, &list(600, 2), &[]).await;
    let kinds = kinds(&answer);
    assert_eq!(kinds["booked"], 300);
    let held_back = kinds.get("row-held-back").copied().unwrap_or_default();
    assert_eq!(kinds["stream-unreadable"] + held_back, 300, "{kinds:?}");
}

#[tokio::test]
async fn what_a_client_that_goes_away_has_left_can_be_sent_again() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let rows = list(2_000, 20);
    let half = &rows[..rows.len() / 2 + 3];
    let head = format!(
        "POST /warehousings HTTP/1.1\r\nhost: x\r\ncontent-type: {NDJSON}\r\nidempotency-key: d\r\ncontent-length: {}\r\n\r\n{half}",
        rows.len()
    );
    let mut connection = tokio::net::TcpStream::connect(replica.addr()).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    eventually("some rows are booked", async || !store.events(20).await.is_empty()).await;
    drop(connection);
    let answer = post(&replica, "/warehousings", NDJSON, &rows, &[("idempotency-key", "d")]).await;
    assert!(statuses(&answer).iter().all(|status| *status == 201), "{answer:?}");
    assert!(kinds(&answer)["replayed"] >= 1, "{:?}", kinds(&answer));
    for book in [1, 20] {
        assert_eq!(replica.stock(book).await, 100);
    }
}

#[tokio::test]
async fn what_is_no_list_is_refused_with_a_reason() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let path = "/warehousings";
    for media_type in ["", "text/plain", "application/xml"] {
        post(&replica, path, media_type, "[]", &[]).await.problem(415, "unsupported-media-type");
    }
    for query in ["?atomic=yes", "?atomic", "?x=1", "?atomic=check&x=1"] {
        let answer = post(&replica, &format!("{path}{query}"), NDJSON, "", &[]).await;
        answer.problem(400, "malformed-request");
    }
    let long = "k".repeat(250);
    for headers in [("idempotency-key", long.as_str()), ("idempotency-key", "a b"), ("if-match", "*")] {
        post(&replica, path, NDJSON, "", &[headers]).await.problem(400, "malformed-request");
    }
    for (media_type, body, last) in [
        ("application/json", "[{\"bookId\":1,\"qty\":1}", 400),
        ("application/json", "{\"bookId\":1,\"qty\":1}", 400),
        ("text/csv", "bookId;qty\n1;1\n", 422),
        ("text/csv", "bookId,qty,name\n1,1,\"unclosed", 400),
        ("text/csv", "bookId,qty,name\n1,1,\"a\"b\"\n", 400),
        (NDJSON, &"{}\n".repeat(100_001), 413),
    ] {
        let answer = post(&replica, path, media_type, body, &[]).await;
        assert_eq!(statuses(&answer).last(), Some(&last), "{media_type}");
    }
    assert_eq!(results(&post(&replica, path, NDJSON, "", &[]).await), Vec::<Value>::new());
    // A row that has not ended is none.
    replica.get("/libraries/1").await.problem(404, "book-unknown");
}
