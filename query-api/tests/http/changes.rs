//! Changes as they happen: nothing is missed, whatever becomes of the connection.

use crate::support::{Library, QueryApi, client};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::time::Duration;

/// Longer than anything that works takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who listens.
struct Listener {
    response: reqwest::Response,
    /// What came in after the last event; the end of it may be half a character.
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Event {
    id: u64,
    name: String,
    data: Value,
}

impl Listener {
    async fn to(api: &QueryApi, path: &str, last: Option<u64>) -> Self {
        let mut request = client().get(format!("{}{path}", api.base));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, bytes: Vec::new() }
    }

    async fn next(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
                    let event: Vec<u8> = self.bytes.drain(..end + 2).collect();
                    if !event.starts_with(b":") {
                        return read(std::str::from_utf8(&event).unwrap());
                    }
                } else {
                    let more = self.response.chunk().await.unwrap().expect("the connection was ended");
                    self.bytes.extend_from_slice(&more);
                }
            }
        })
        .await
        .expect("no message came")
    }
}

fn read(event: &str) -> Event {
    let field = |name: &str| {
        let found = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name} in {event}"))
    };
    let data: Value = serde_json::from_str(field("data")).unwrap();
    let id = field("id").parse().unwrap();
    assert_eq!(data["position"], field("id"));
    Event { id, name: field("event").to_owned(), data }
}

/// The stock of each book in a message.
fn stocks(event: &Event) -> BTreeMap<u64, u64> {
    let rows = event.data["books"].as_array().unwrap().iter();
    rows.map(|row| (row["bookId"].as_u64().unwrap(), row["stock"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn the_first_message_says_where_one_is_and_the_next_what_changed() {
    let library = Library::empty("changes_first").await;
    library.put(42, &["1, '책', 1.0, 5"]).await;
    let mut listener = Listener::to(&library.query_api, "/books/changes", None).await;
    let first = listener.next().await;
    assert_eq!((first.id, first.name.as_str(), &first.data["generation"]), (42, "changes", &Value::from(1)));
    assert_eq!(first.data["books"], Value::Array(Vec::new()));
    library.put(43, &["1, '책', 1.0, 6", "2, NULL, 2.0, 7"]).await;
    let next = listener.next().await;
    assert_eq!((next.id, stocks(&next)), (43, BTreeMap::from([(1, 6), (2, 7)])));
    let book = &next.data["books"][0];
    for (field, value) in [("name", Value::from("책")), ("version", 1.0.into()), ("revision", 1.into())] {
        assert_eq!(book[field], value);
    }
    let mut admins = Listener::to(&library.query_api, "/admins/changes?since=42", None).await;
    assert_eq!(admins.next().await.data["admins"][1]["bookStock"], 7);
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_as_it_is_now() {
    let library = Library::empty("changes_back").await;
    library.put(42, &["1, NULL, 1.0, 5", "2, NULL, 1.0, 5"]).await;
    library.put(43, &["1, NULL, 1.0, 6"]).await;
    library.put(44, &["1, NULL, 1.0, 7"]).await;
    let nothing_held = QueryApi::start_with(&library.database_url, 0).await;
    nothing_held.stands_at(44).await;
    for api in [&library.query_api, &nothing_held] {
        let missed = Listener::to(api, "/books/changes", Some(42)).await.next().await;
        assert_eq!((missed.id, stocks(&missed)), (44, BTreeMap::from([(1, 7)])));
        // The header is what a browser sends when it comes back to the address it began with.
        let missed = Listener::to(api, "/books/changes?since=0", Some(44)).await.next().await;
        assert_eq!((missed.id, stocks(&missed)), (44, BTreeMap::new()));
    }
}

#[tokio::test]
async fn who_was_away_for_long_gets_it_in_parts() {
    let library = Library::empty("changes_long").await;
    for (position, from, to) in [(10, 1, 700), (20, 701, 1_300), (30, 1_301, 1_400)] {
        for part in (from..=to).step_by(100) {
            let at = position * 100 + part;
            let end = (part + 99).min(to);
            library
                .put_all(
                    at,
                    &format!("SELECT i, NULL::text, 1.0, i FROM generate_series({part}, {end}) AS i"),
                )
                .await;
        }
    }
    let mut listener = Listener::to(&library.query_api, "/books/changes?since=0", None).await;
    let (mut seen, mut messages) = (BTreeMap::new(), 0);
    while seen.len() < 1_400 {
        let event = listener.next().await;
        seen.extend(stocks(&event));
        messages += 1;
    }
    assert!(messages >= 3, "{messages}");
    assert!(seen.iter().all(|(book, stock)| book == stock));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_at_any_time_lose_nothing() {
    let library = Library::empty("changes_cut").await;
    library.put(100, &["1, NULL, 1.0, 1"]).await;
    let last_position = 100 + 150;
    let base = QueryApi::start(&library.database_url).await;
    base.stands_at(100).await;
    let listening = tokio::spawn(async move {
        let (mut known, mut at, mut turn) = (BTreeMap::new(), 0u64, 0u64);
        while at < last_position {
            turn += 1;
            let mut listener = Listener::to(&base, "/books/changes", Some(at)).await;
            for _ in 0..=turn % 3 {
                let event = listener.next().await;
                known.extend(stocks(&event));
                at = event.id;
                if at >= last_position {
                    break;
                }
            }
        }
        (known, turn)
    });
    let mut expected = BTreeMap::from([(1, 1)]);
    for position in 101..=last_position {
        let book = 1 + position * position % 17;
        library.put(position, &[&format!("{book}, NULL, 1.0, {position}")]).await;
        expected.insert(book, position);
    }
    let (known, turns) = tokio::time::timeout(PATIENCE * 3, listening).await.unwrap().unwrap();
    assert_eq!(known, expected);
    assert!(turns > 3, "{turns}");
}

#[tokio::test]
async fn when_the_read_models_were_made_anew_it_is_said() {
    let library = Library::empty("changes_generation").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let mut listener = Listener::to(&library.query_api, "/books/changes", None).await;
    listener.next().await;
    library
        .sql(
            "CREATE SCHEMA rm_2;
             GRANT USAGE ON SCHEMA rm_2 TO bookstock_reader;
             CREATE TABLE rm_2.book_stock AS SELECT * FROM rm_1.book_stock;
             CREATE TABLE rm_2.admin_list AS SELECT * FROM rm_1.admin_list;
             UPDATE rm_2.book_stock SET stock = 6;
             GRANT SELECT ON ALL TABLES IN SCHEMA rm_2 TO bookstock_reader;
             INSERT INTO bookstock.projection (generation, fold_version, position, event_id)
             SELECT 2, fold_version, position, event_id FROM bookstock.projection;
             UPDATE bookstock.active SET generation = 2",
        )
        .await;
    let reset = listener.next().await;
    assert_eq!((reset.id, reset.name.as_str(), &reset.data["generation"]), (42, "reset", &Value::from(2)));
    assert_eq!(library.get("/books/1").await.json()["stock"], 6);
    let back = Listener::to(&library.query_api, "/books/changes", Some(42)).await.next().await;
    assert_eq!((back.name.as_str(), &back.data["generation"]), ("changes", &Value::from(2)));
}

#[tokio::test]
async fn when_the_rows_of_one_book_were_made_anew_it_is_said() {
    let library = Library::empty("changes_refold").await;
    library.put(42, &["1, NULL, 1.0, 5", "2, NULL, 1.0, 5"]).await;
    let mut listener = Listener::to(&library.query_api, "/books/changes", None).await;
    assert_eq!(listener.next().await.data["refolds"], 0);
    // As the projector does when a parked stream goes on: the row is no newer than what was told before.
    library
        .sql(
            "UPDATE rm_1.book_stock SET stock = 8, revision = 1, position = 41 WHERE book_id = 1;
             UPDATE bookstock.projection SET refolds = refolds + 1;
             NOTIFY bookstock_position, '42'",
        )
        .await;
    let reset = listener.next().await;
    assert_eq!((reset.id, reset.name.as_str(), &reset.data["refolds"]), (42, "reset", &Value::from(1)));
    assert_eq!(library.get("/books/1").await.json()["stock"], 8);
    let back = Listener::to(&library.query_api, "/books/changes", Some(42)).await.next().await;
    assert_eq!((back.name.as_str(), &back.data["refolds"]), ("changes", &Value::from(1)));
}

#[tokio::test]
async fn who_comes_from_further_on_is_told_where_it_is_and_misses_nothing_after_that() {
    let library = Library::empty("changes_further").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let nothing_held = QueryApi::start_with(&library.database_url, 0).await;
    nothing_held.stands_at(42).await;
    let mut listeners = Vec::new();
    for api in [&library.query_api, &nothing_held] {
        for since in [43, 1 << 53, i64::MAX.cast_unsigned(), u64::MAX] {
            for path in ["/books/changes".to_owned(), format!("/books/changes?since={since}")] {
                let last = (!path.contains('?')).then_some(since);
                let mut listener = Listener::to(api, &path, last).await;
                let first = listener.next().await;
                assert_eq!((first.id, stocks(&first)), (42, BTreeMap::new()), "{since}");
                listeners.push(listener);
            }
        }
    }
    library.put(43, &["1, NULL, 1.0, 6"]).await;
    for listener in &mut listeners {
        let next = listener.next().await;
        assert_eq!((next.id, stocks(&next)), (43, BTreeMap::from([(1, 6)])));
    }
}

/// The campaign S1 leaves these routes out, as their answers have no end; here they are asked what their document allows and
/// forbids, and the beginning of each answer is read.
#[tokio::test]
async fn whatever_is_asked_of_changes_is_followed_or_refused_as_the_document_says() {
    let library = Library::empty("changes_fuzz").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let document = library.get("/openapi.json").await.json();
    let (mut random, client) = (fastrand::Rng::with_seed(7), client());
    let odd = [
        "",
        " ",
        "+1",
        "-1",
        "0x1",
        "1.0",
        "1e3",
        "01",
        "4 2",
        "42,43",
        "null",
        "true",
        "[]",
        "{}",
        "٤٢",
        "４２",
        "NaN",
        "\u{0}",
        "18446744073709551616",
        "99999999999999999999999999",
    ];
    for (path, list) in [("/books/changes", "books"), ("/admins/changes", "admins")] {
        let responses = document["paths"][path]["get"]["responses"].as_object().unwrap();
        for round in 0..150 {
            let text = match round % 3 {
                0 => (random.u64(..) >> random.u32(..64)).to_string(),
                1 => odd[random.usize(..odd.len())].to_owned(),
                _ => (0..random.u32(1..13)).map(|_| char::from(random.u8(33..127))).collect(),
            };
            let mut url = reqwest::Url::parse(&format!("{}{path}", library.query_api.base)).unwrap();
            let name = if random.u32(..9) == 0 { "sinse" } else { "since" };
            let mut is_good = name == "since"
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse::<u64>().is_ok();
            url.query_pairs_mut().append_pair(name, &text);
            if random.u32(..9) == 0 {
                url.query_pairs_mut().append_pair("since", "1");
                is_good = false;
            }
            let mut response = client.get(url.clone()).send().await.unwrap();
            let status = response.status().as_u16();
            assert_eq!(status, if is_good { 200 } else { 400 }, "{url}");
            let told = &responses[&status.to_string()]["content"];
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            assert!(told.get(&kind).is_some(), "{url}: {kind}");
            let first = tokio::time::timeout(PATIENCE, response.chunk()).await.unwrap().unwrap().unwrap();
            let first = String::from_utf8(first.to_vec()).unwrap();
            if is_good {
                let event = read(first.trim_end());
                assert_eq!((event.name.as_str(), event.id), ("changes", 42), "{url}");
                assert!(event.data[list].is_array(), "{url}");
            } else {
                let problem: Value = serde_json::from_str(&first).unwrap();
                assert_eq!(problem["type"], "urn:bookstock:problem:invalid-parameter", "{url}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_position_is_refused() {
    let library = Library::empty("changes_bad").await;
    for last in ["", "x", "-1", "18446744073709551616"] {
        let answer = library.query_api.get("/books/changes", &[("last-event-id", last)]).await;
        assert_eq!(answer.outcome(), (400, "invalid-parameter".to_owned()), "{last}");
    }
    for query in ["since=x", "since=", "sinse=1"] {
        let answer = library.get(&format!("/admins/changes?{query}")).await;
        assert_eq!(answer.outcome(), (400, "invalid-parameter".to_owned()), "{query}");
    }
}

#[tokio::test]
async fn who_does_not_read_is_dropped_with_the_position_to_come_back_to() {
    let library = Library::empty("changes_slow").await;
    for part in 0..120 {
        let first = part * 500 + 1;
        let books = format!(
            "SELECT i, repeat('책', 300) || i, 1.0, 1 FROM generate_series({first}, {first} + 499) AS i"
        );
        library.put_all(part + 1, &books).await;
    }
    let address = library.query_api.base.replace("http://", "");
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    stream
        .write_all(format!("GET /books/changes?since=0 HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes())
        .unwrap();
    // Who does not read for so long is slow.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let slow = tokio::task::spawn_blocking(move || {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut text = Vec::new();
        let mut part = [0; 1 << 16];
        loop {
            let read = stream.read(&mut part).unwrap();
            text.extend_from_slice(&part[..read]);
            // The end of a body that comes in chunks.
            if read == 0 || text.ends_with(b"\r\n0\r\n\r\n") {
                return String::from_utf8_lossy(&text).into_owned();
            }
        }
    });
    let text = slow.await.unwrap();
    let (_, dropped) = text.rsplit_once("event: dropped\ndata: ").expect("it was not dropped");
    let dropped: Value = serde_json::from_str(dropped.lines().next().unwrap()).unwrap();
    let at: u64 = dropped["position"].as_str().unwrap().parse().unwrap();
    assert!((1..120).contains(&at), "{at}");
    let back = Listener::to(&library.query_api, "/books/changes", Some(at)).await.next().await;
    assert_eq!(stocks(&back).len(), 500);
}
