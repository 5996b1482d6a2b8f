//! The history of a book, and `asOf`: what the books were.

use crate::support::{Answer, Library};
use serde_json::{Value, json};
use std::time::Duration;

/// Three books at position 14, and how they came there.
async fn library(name: &str) -> Library {
    let library = Library::empty(name).await;
    library
        .sql(
            r#"INSERT INTO rm_1.book_history (position, book_id, movement, qty, version, stock, name, reason, actor,
                correlation_id, revision, occurred_at)
             VALUES
                (10, 1, 'Warehoused', 5, 1.0, 5, '해리 포터', NULL, NULL, NULL, 0, '2026-11-24T08:00:00Z'),
                (11, 2, 'Warehoused', 7, 1.25, 7, NULL, NULL, NULL, NULL, 0, '2026-11-24T08:01:00Z'),
                (12, 1, 'Renewed', 100, 2.0, 100, '해리 포터', NULL, NULL, NULL, 1, '2026-11-24T08:02:00Z'),
                (13, 1, 'Corrected', -3, 2.0, 97, '해리 포터', 'lost, "all"', 'clerk-7', 'request-9', 2,
                    '2026-11-24T08:03:00Z'),
                (14, 3, 'Warehoused', 1, 1.0, 1, NULL, NULL, NULL, NULL, 0, '2026-11-24T08:04:00Z')"#,
        )
        .await;
    library.put(14, &["1, '해리 포터', 2.0, 97", "2, NULL, 1.25, 7", "3, NULL, 1.0, 1"]).await;
    library
}

fn values(rows: &Value, field: &str) -> Vec<Value> {
    rows.as_array().unwrap().iter().map(|row| row[field].clone()).collect()
}

fn json_of(numbers: &[i64]) -> Vec<Value> {
    numbers.iter().map(|number| json!(number)).collect()
}

/// The parts of a walk along its links, from `first` on.
async fn walk(library: &Library, first: &str, list: &str) -> Vec<Vec<Value>> {
    let (mut parts, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let part = library.get(&path).await;
        assert_eq!(part.status, 200, "{}", part.text);
        let part = part.json();
        parts.push(part["_embedded"][list].as_array().unwrap().clone());
        next = part["_links"]["next"]["href"].as_str().map(|href| href.replace(&library.query_api.base, ""));
        assert!(parts.len() < 20, "the walk has no end");
    }
    parts
}

async fn with_media(library: &Library, path: &str, media: &str) -> Answer {
    let answer = library.query_api.get(path, &[("accept", media)]).await;
    assert_eq!((answer.status, answer.header("bookstock-position")), (200, "14"), "{}", answer.text);
    answer
}

#[tokio::test]
async fn a_history_tells_every_movement_and_the_book_after_it() {
    let library = library("history_told").await;
    let answer = library.query_api.get("/books/1/history?order=desc", &[("host", "h")]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/hal+json"));
    assert_eq!((answer.header("bookstock-position"), answer.header("cache-control")), ("14", "no-cache"));
    let history = answer.json();
    let movements = &history["_embedded"]["movements"];
    assert_eq!(values(movements, "type"), ["Corrected", "Renewed", "Warehoused"]);
    let corrected = json!({
        "bookId": 1, "type": "Corrected", "qty": -3, "version": 2.0, "stock": 97, "name": "해리 포터",
        "reason": "lost, \"all\"", "actor": "clerk-7", "correlationId": "request-9", "revision": 2,
        "position": "13", "occurredAt": "2026-11-24T08:03:00.000000Z",
    });
    assert_eq!(movements[0], corrected);
    assert_eq!(
        history["_links"],
        json!({
            "book": {"href": "http://h/books/1"},
            "first": {"href": "http://h/books/1/history?cursor=&order=desc"},
            "profile": {"href": "http://h/profile/history"},
            "self": {"href": "http://h/books/1/history?order=desc"},
        })
    );
    assert_eq!(history["page"], json!({"size": 20}));
    let profile = library.get("/profile/history").await.json();
    let described = values(&profile["alps"]["descriptor"][0]["descriptor"], "id");
    assert_eq!(described.len(), corrected.as_object().unwrap().len());
    assert!(described.iter().all(|name| corrected.get(name.as_str().unwrap()).is_some()), "{described:?}");
}

#[tokio::test]
async fn a_history_is_walked_in_either_direction() {
    let library = library("history_walked").await;
    for (query, size, positions) in [
        ("size=1", 1, ["10", "12", "13"]),
        ("cursor=&size=2&order=asc", 2, ["10", "12", "13"]),
        ("size=1&order=desc", 1, ["13", "12", "10"]),
        ("size=2&order=desc", 2, ["13", "12", "10"]),
    ] {
        let parts = walk(&library, &format!("/books/1/history?{query}"), "movements").await;
        assert!(parts.iter().all(|part| (1..=size).contains(&part.len())), "{query}: {parts:?}");
        assert_eq!(values(&json!(parts.concat()), "position"), positions, "{query}");
    }
}

#[tokio::test]
async fn a_history_comes_as_csv_and_as_a_json_object_a_line() {
    let library = library("history_forms").await;
    let whole = with_media(&library, "/books/1/history", "text/csv").await;
    let lines: Vec<_> = whole.text.lines().collect();
    assert_eq!(
        lines,
        [
            "bookId,type,qty,version,stock,name,reason,actor,correlationId,revision,position,occurredAt",
            "1,Warehoused,5,1.0,5,해리 포터,,,,0,10,2026-11-24T08:00:00.000000Z",
            "1,Renewed,100,2.0,100,해리 포터,,,,1,12,2026-11-24T08:02:00.000000Z",
            "1,Corrected,-3,2.0,97,해리 포터,\"lost, \"\"all\"\"\",clerk-7,request-9,2,13,2026-11-24T08:03:00.000000Z",
        ]
    );
    let then = with_media(&library, "/books/1/history?asOf=12&order=desc", "text/csv").await;
    assert_eq!(then.text.lines().skip(1).collect::<Vec<_>>(), [lines[2], lines[1]]);
    let part = with_media(&library, "/books/1/history?size=1&order=desc", "application/x-ndjson").await;
    assert_eq!(serde_json::from_str::<Value>(&part.text).unwrap()["stock"], 97);
    let unknown = library.query_api.get("/books/4/history", &[("accept", "text/csv")]).await;
    assert_eq!(unknown.outcome(), (404, "book-unknown".to_owned()));
}

#[tokio::test]
async fn a_book_is_shown_as_it_was_at_a_position_or_a_time() {
    let library = library("history_then").await;
    for (as_of, stock) in [
        ("9", None),
        ("10", Some(5)),
        ("11", Some(5)),
        ("12", Some(100)),
        ("14", Some(97)),
        ("0000-01-01T00:00:00Z", None),
        ("2026-11-24T07:59:59.999999Z", None),
        ("2026-11-24T08:00:00Z", Some(5)),
        ("2026-11-24T17:02:59.999999%2B09:00", Some(100)),
        ("2026-11-24T08:03:00Z", Some(97)),
    ] {
        for (path, shown) in [
            ("/books/1?", "/stock"),
            ("/admins/1?", "/bookStock"),
            ("/books/1/history?order=desc&", "/_embedded/movements/0/stock"),
        ] {
            let answer = library.get(&format!("{path}asOf={as_of}")).await;
            assert_eq!(answer.header("bookstock-position"), "14");
            match stock {
                Some(stock) => assert_eq!(answer.json().pointer(shown), Some(&json!(stock)), "{path}{as_of}"),
                None => assert_eq!(answer.outcome(), (404, "book-unknown".to_owned()), "{path}{as_of}"),
            }
        }
    }
    let then = library.get("/books/1?asOf=13").await.json();
    assert_eq!(then["_links"], library.get("/books/1").await.json()["_links"]);
    assert_eq!((&then["revision"], &then["position"]), (&json!(2), &json!("13")));
    assert_eq!(library.get("/books/1?asOf=12").await.header("etag"), "\"1.1\"");
}

#[tokio::test]
async fn a_list_is_shown_as_it_was_in_every_form() {
    let library = library("history_lists").await;
    for (as_of, ids, stocks) in [
        ("9", &[][..], &[][..]),
        ("11", &[1, 2], &[5, 7]),
        ("2026-11-24T08:02:00Z", &[1, 2], &[100, 7]),
        ("14", &[1, 2, 3], &[97, 7, 1]),
    ] {
        for (path, list, stock) in [("/books", "books", "stock"), ("/admins", "admins", "bookStock")] {
            let answer = library.get(&format!("{path}?asOf={as_of}")).await;
            assert_eq!((answer.status, answer.header("bookstock-position")), (200, "14"), "{}", answer.text);
            let rows = &answer.json()["_embedded"][list];
            assert_eq!((values(rows, "bookId"), values(rows, stock)), (json_of(ids), json_of(stocks)));
            let parts = walk(&library, &format!("{path}?cursor=&size=1&asOf={as_of}"), list).await;
            assert_eq!(values(&json!(parts.concat()), stock), json_of(stocks), "{path} {as_of}");
            for (query, media) in [("", "application/x-ndjson"), ("&size=1000", "application/ndjson")] {
                let lines = with_media(&library, &format!("{path}?asOf={as_of}{query}"), media).await.text;
                let lines: Vec<Value> =
                    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                assert_eq!(values(&json!(lines), stock), json_of(stocks), "{path} {as_of}");
            }
        }
    }
    let csv = with_media(&library, "/books?asOf=11", "text/csv").await;
    assert_eq!(csv.text.lines().nth(1).unwrap(), "1,해리 포터,5,1.0,0,10,2026-11-24T08:00:00.000000Z");
}

#[tokio::test]
async fn a_time_that_has_not_come_is_refused_and_a_position_is_waited_for() {
    let library = library("history_not_yet").await;
    for path in ["/books/1", "/books", "/admins/1", "/admins", "/books/1/history"] {
        for as_of in ["9999-12-31T23:59:59Z", "yesterday", "-1", "", "18446744073709551616"] {
            let refused = library.get(&format!("{path}?asOf={as_of}")).await;
            assert_eq!(refused.outcome(), (400, "invalid-parameter".to_owned()), "{path} {as_of}");
            assert_eq!(refused.json()["parameter"], "asOf");
        }
        let behind = library.get(&format!("{path}?asOf=15&wait=0")).await;
        assert_eq!(behind.outcome(), (503, "projection-behind".to_owned()), "{path}");
        assert_eq!(behind.json()["position"], "14");
    }
    let mut waiting = std::pin::pin!(library.get("/books/1?asOf=15&wait=10000"));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "it was answered before its position was reached");
    library.put(15, &["2, NULL, 1.25, 8"]).await;
    assert_eq!(waiting.await.json()["stock"], 97);
}

#[tokio::test]
async fn what_the_past_cannot_be_asked_for_is_named() {
    let library = library("history_refused").await;
    let first = library.get("/books/1/history?size=1").await.json();
    let (_, cursor) = first["_links"]["next"]["href"].as_str().unwrap().split_once("cursor=").unwrap();
    let of_another = format!("/books/2/history?cursor={}", cursor.split('&').next().unwrap());
    for (path, parameter) in [
        ("/books?asOf=12&sort=stock", "sort"),
        ("/books?asOf=12&page=0", "page"),
        ("/admins?asOf=12&q=a", "q"),
        ("/admins?asOf=12&changedSince=1", "changedSince"),
        ("/books?asOf=12&colour=red", "colour"),
        ("/books?asOf=12&cursor=nonsense", "cursor"),
        ("/books?asOf=12&asOf=13", "asOf"),
        ("/books/1/history?order=up", "order"),
        ("/books/1/history?page=0", "page"),
        ("/books/1/history?size=1001", "size"),
        ("/books/1/history?cursor=nonsense", "cursor"),
        (&of_another, "cursor"),
    ] {
        let refused = library.get(path).await;
        assert_eq!(refused.outcome(), (400, "invalid-parameter".to_owned()), "{path}");
        assert_eq!(refused.json()["parameter"], parameter, "{path}");
    }
    for path in ["/books/4/history", "/books/0/history", "/books/x/history"] {
        assert_eq!(library.get(path).await.outcome(), (404, "book-unknown".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_an_older_version_of_the_tables_does_not_hold_is_said_with_the_way_out() {
    let library = library("history_older_version").await;
    library.sql("UPDATE bookstock.projection SET fold_version = 2; DROP TABLE rm_1.book_history").await;
    for path in ["/books/1/history", "/books/1?asOf=12", "/books?asOf=12"] {
        let answer = library.get(path).await;
        assert_eq!(answer.outcome(), (503, "read-model-unavailable".to_owned()), "{path}");
        assert!(
            answer.json()["detail"].as_str().unwrap().contains("replay rebuild"),
            "{path}: {}",
            answer.text
        );
    }
    assert_eq!(library.get("/books/1").await.status, 200);
}
