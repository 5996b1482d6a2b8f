//! What becomes of a list when its service stops in the middle of it.

use crate::support::{PATIENCE, Replica, Store, eventually};
use reqwest::Method;
use serde_json::Value;
use std::collections::HashSet;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const NDJSON: &str = "application/x-ndjson";
const STOPPING: &str = "urn:bookstock:problem:service-stopping";

/// A list whose end never comes, with this one row.
async fn unfinished(replica: &Replica, query: &str, row: &str) -> BufReader<TcpStream> {
    let mut connection = TcpStream::connect(replica.addr()).await.unwrap();
    let request = format!(
        "POST /warehousings{query} HTTP/1.1\r\nhost: x\r\ncontent-type: {NDJSON}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{row}\n\r\n",
        row.len() + 1
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    BufReader::new(connection)
}

/// All that comes of its answer until the connection ends.
async fn rest(mut connection: BufReader<TcpStream>) -> String {
    let mut rest = String::new();
    timeout(PATIENCE, connection.read_to_string(&mut rest)).await.expect("it ends").unwrap();
    rest
}

fn results(text: &str) -> Vec<Value> {
    let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (number, result) in (1..).zip(&results) {
        assert_eq!(result["row"], number, "{result}");
    }
    results
}

#[tokio::test]
async fn what_a_list_has_left_is_told_and_sent_again_all_of_it_is_booked_once() {
    const ROWS: usize = 8_000;
    const BOOKS: usize = 40;
    let store = Store::start().await;
    let (stopping, other) = (Replica::start(&store).await, Replica::start(&store).await);
    // Each result tells the name: all of them are more than a connection takes while nobody reads.
    let name = "책".repeat(500);
    let list: String = (0..ROWS)
        .map(|row| format!("{{\"bookId\":{},\"qty\":1,\"name\":\"{name}\"}}\n", row % BOOKS + 1))
        .collect();
    let path = "/warehousings?atomic=check";
    let request = reqwest::Client::new().post(stopping.url(path)).body(list.clone());
    let request = request.header("content-type", NDJSON).header("idempotency-key", "d");
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut told = answer.chunk().await.unwrap().expect("a result comes").to_vec();
    stopping.tell_to_stop();
    while let Some(piece) = answer.chunk().await.expect("the answer ends well") {
        told.extend_from_slice(&piece);
    }

    let (mut booked, mut left) = (0, HashSet::new());
    for result in results(&String::from_utf8(told).unwrap()) {
        let book = (result["row"].as_u64().unwrap() - 1) % BOOKS as u64 + 1;
        if result["status"] == 201 {
            booked += 1;
            assert!(!left.contains(&book), "a row of book {book} was overtaken: {result}");
        } else {
            assert_eq!((&result["status"], &result["problem"]["type"]), (&503.into(), &STOPPING.into()));
            left.insert(book);
        }
    }
    assert!(booked > 0 && !left.is_empty(), "{booked} rows are booked, and {} books left", left.len());

    let again = other.send(Method::POST, path, NDJSON, list.into_bytes(), &[("idempotency-key", "d")]).await;
    let again = results(&again.text);
    assert_eq!(again.iter().find(|result| result["status"] != 201), None);
    assert_eq!(again.len(), ROWS);
    assert_eq!(again.iter().filter(|result| result["replayed"] == true).count(), booked);
    for book in 1..=BOOKS as u64 {
        assert_eq!(other.stock(book).await, ROWS / BOOKS, "book {book}");
    }
}

#[tokio::test]
async fn a_list_that_still_comes_is_told_which_row_is_the_first_that_was_not_tried() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut list = unfinished(&replica, "", r#"{"bookId":1,"qty":2}"#).await;
    let mut line = String::new();
    while !line.starts_with('{') {
        line.clear();
        let read = timeout(PATIENCE, list.read_line(&mut line)).await.expect("a result comes").unwrap();
        assert!(read > 0, "the answer ended");
    }
    assert!(line.contains("\"status\":201"), "{line}");
    replica.tell_to_stop();
    let rest = rest(list).await;
    let lines: Vec<&str> = rest.lines().filter(|line| line.starts_with('{')).collect();
    let [line] = lines[..] else { panic!("{rest}") };
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&told["row"], &told["problem"]["type"]), (&2.into(), &STOPPING.into()), "{told}");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "the answer breaks off: {rest:?}");
}

#[tokio::test]
async fn lists_that_are_looked_at_first_are_turned_away_whole() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut lists = Vec::new();
    for _ in 0..4 {
        lists.push(unfinished(&replica, "?atomic=check", r#"{"bookId":1,"qty":2}"#).await);
    }
    let one_more = async || replica.send_list(r#"{"bookId":2,"qty":1}"#.to_owned()).await;
    eventually("all of them are looked at", async || one_more().await.status == 503).await;
    replica.tell_to_stop();
    for list in lists {
        let answer = rest(list).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains(STOPPING), "{answer}");
    }
    assert!(store.events(1).await.is_empty());
}
