//! How a list is answered while it comes in, and what is too much of it.

use crate::support::{PATIENCE, Replica, Store, eventually};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use command_api::Settings;
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::Value;
use service_kit::{Auth, Health, Limits, edge};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

const NDJSON: &str = "application/x-ndjson";

/// A list that is under way, row by row.
struct Sending(BufReader<TcpStream>);

impl Sending {
    async fn begin(replica: &Replica, media_type: &str) -> Self {
        let mut connection = TcpStream::connect(replica.addr()).await.unwrap();
        let head = format!(
            "POST /warehousings HTTP/1.1\r\nhost: x\r\ncontent-type: {media_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        Self(BufReader::new(connection))
    }

    /// Sends a row, and answers its result: the list has not ended.
    async fn row(&mut self, row: &str) -> Value {
        let chunk = format!("{:x}\r\n{row}\n\r\n", row.len() + 1);
        self.0.write_all(chunk.as_bytes()).await.unwrap();
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("a result comes").unwrap();
            assert!(read > 0, "the answer ended");
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }

    async fn end(mut self) {
        self.0.write_all(b"0\r\n\r\n").await.unwrap();
    }
}

#[tokio::test]
async fn the_result_of_a_row_comes_before_the_next_row_is_sent() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut list = Sending::begin(&replica, NDJSON).await;
    for row in 1..=20 {
        let result = list.row(r#"{"bookId":1,"qty":2}"#).await;
        assert_eq!(result["row"], row, "{result}");
        assert_eq!(result["answer"]["stock"], 2 * row, "{result}");
        assert_eq!(replica.stock(1).await, 2 * row);
    }
    assert_eq!(list.row("{}").await["status"], 422);
    list.end().await;
}

#[tokio::test]
async fn while_as_many_lists_are_booked_as_may_be_another_one_is_turned_away_whole() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut lists = Vec::new();
    for _ in 0..4 {
        let mut list = Sending::begin(&replica, NDJSON).await;
        assert_eq!(list.row(r#"{"bookId":1,"qty":1}"#).await["status"], 201);
        lists.push(list);
    }
    let one_more = async || replica.send_list(r#"{"bookId":2,"qty":1}"#.to_owned()).await;
    let refused = one_more().await;
    refused.problem(503, "too-many-lists");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(store.events(2).await.is_empty());
    // A single command does not stand behind lists.
    replica.warehouse(3, 1).await.ok(201);
    lists.pop().unwrap().end().await;
    eventually("there is room for another one", async || one_more().await.status == 200).await;
    assert_eq!(replica.stock(2).await, 1);
}

#[tokio::test]
async fn a_list_that_is_refused_takes_no_place_from_another_while_it_still_comes() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut refused = Vec::new();
    for _ in 0..4 {
        let mut list = Sending::begin(&replica, "application/json").await;
        assert_eq!(list.row("no array").await["status"], 400);
        refused.push(list);
    }
    eventually("there is room for another one", async || {
        replica.send_list(r#"{"bookId":1,"qty":1}"#.to_owned()).await.status == 200
    })
    .await;
    assert_eq!(replica.stock(1).await, 1);
    drop(refused);
}

#[tokio::test]
async fn what_a_list_has_beyond_its_most_rows_is_not_booked() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    // So many bad ones cost nothing to book; the next two are good.
    let (bad, good) = (99_999, r#"{"bookId":1,"qty":1}"#);
    for (book, (media_type, list)) in (1..).zip([
        (NDJSON, format!("{}{good}\n{good}\n{good}\n", "{}\n".repeat(bad))),
        ("application/json", format!("[{}{good},{good},{good}]", "{},".repeat(bad))),
        ("text/csv", format!("bookId,qty\n{}1,1\n1,1\n1,1\n", "1,0\n".repeat(bad))),
    ]) {
        let send = async |path: &str| {
            replica.send(Method::POST, path, media_type, list.clone().into_bytes(), &[]).await
        };
        let answer = send("/warehousings").await;
        let last: Vec<Value> =
            answer.text.lines().skip(bad - 1).map(|line| serde_json::from_str(line).unwrap()).collect();
        let statuses: Vec<_> = last.iter().map(|result| (&result["row"], &result["status"])).collect();
        let wanted: [(Value, Value); 3] =
            [(99_999, 422), (100_000, 201), (100_001, 413)].map(|(row, status)| (row.into(), status.into()));
        assert_eq!(
            statuses,
            wanted.iter().map(|(row, status)| (row, status)).collect::<Vec<_>>(),
            "{media_type}"
        );
        assert_eq!(last[2]["problem"]["type"], "urn:bookstock:problem:too-many-rows");
        assert_eq!(replica.stock(1).await, book);
        // One that is looked at first is refused as a whole.
        send("/warehousings?atomic=check").await.problem(413, "too-many-rows");
        assert_eq!(replica.stock(1).await, book);
    }
}

/// A command side for lists of bad rows: it needs no store, and where time passes by itself it takes none.
fn without_store() -> (Router, DropGuard) {
    let settings = Settings {
        event_store_url: "esdb://127.0.0.1:1?tls=false".to_owned(),
        name: None,
        store_timeout_ms: 777,
        book_cache_mib: 1,
    };
    let (health, shutdown) = (Health::default(), CancellationToken::new());
    let ways_in = command_api::open(&settings, &health, shutdown.clone()).unwrap();
    let edge = edge::around("command-api", ways_in.http, &health, &Auth::open(), &Limits::default());
    (edge, shutdown.drop_guard())
}

/// Sends a list that is looked at first, in pieces of which each takes its time, and tells the answer, and how many pieces
/// were waited for.
async fn sent_slowly(media_type: &str, pieces: Vec<String>) -> (u16, Value, usize) {
    let (edge, _running) = without_store();
    let waited_for = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&waited_for);
    let body = stream::unfold(pieces.into_iter(), move |mut pieces| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Some((Ok::<_, std::io::Error>(pieces.next()?), pieces))
        }
    });
    let request = Request::post("/warehousings?atomic=check").header("content-type", media_type);
    let answer = edge.oneshot(request.body(Body::from_stream(body)).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let document = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&document).unwrap(), waited_for.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_looked_at_first_has_the_time_that_it_needs_to_come_and_no_more() {
    // 800 bytes a second, for more than three minutes.
    let slow = vec!["{\"bookId\":1}\n".repeat(1_150); 10];
    let (status, problem, _) = sent_slowly(NDJSON, slow).await;
    assert_eq!((status, &problem["badRows"]), (422, &11_500.into()), "{problem}");

    let dripping = || vec![" ".to_owned(); 1_000];
    let (status, problem, waited_for) = sent_slowly(NDJSON, dripping()).await;
    assert_eq!((status, &problem["type"]), (408, &"urn:bookstock:problem:body-too-slow".into()));
    assert!(waited_for < 10, "{waited_for}");

    // Neither has one that comes fast enough and never ends: it would keep its place for days.
    let blank_lines = vec!["\n".repeat(20 << 10); 400];
    let (status, problem, waited_for) = sent_slowly(NDJSON, blank_lines).await;
    assert_eq!((status, &problem["type"]), (408, &"urn:bookstock:problem:body-too-slow".into()));
    assert!(waited_for < 200, "{waited_for}");

    // One that is refused before its end is read over, but not for longer.
    let no_list = [vec!["{".to_owned()], dripping()].concat();
    let (status, problem, waited_for) = sent_slowly("application/json", no_list).await;
    assert_eq!((status, &problem["type"]), (400, &"urn:bookstock:problem:malformed-request".into()));
    assert!(waited_for < 10, "{waited_for}");

    // Neither is one that goes on to come as fast as a list may.
    let (status, _, waited_for) = sent_slowly("application/json", vec!["{".repeat(8 << 10); 1_000]).await;
    assert_eq!(status, 400);
    assert!(waited_for < 10, "{waited_for}");
}

#[tokio::test(start_paused = true)]
async fn results_that_are_read_a_little_now_and_then_are_not_waited_for_without_end() {
    const ROWS: usize = 50_000;
    let (edge, _running) = without_store();
    let request = Request::post("/warehousings").header("content-type", NDJSON);
    let request = request.body(Body::from("{}\n".repeat(ROWS))).unwrap();
    let mut results = edge.oneshot(request).await.unwrap().into_body().into_data_stream();
    let mut told = 0;
    let end = loop {
        match results.next().await {
            Some(Ok(piece)) => told += piece.iter().filter(|byte| **byte == b'\n').count(),
            end => break end,
        }
        tokio::time::sleep(Duration::from_secs(29)).await;
    };
    assert!((1..ROWS / 2).contains(&told), "{told}");
    assert!(
        matches!(end, Some(Err(_))),
        "after {told} results of {ROWS} the answer ends as if they were all"
    );
}
