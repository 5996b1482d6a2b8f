//! Lists: which books, by walk, and in which form.

use crate::support::{Library, QueryApi};
use serde_json::Value;

async fn library(name: &str) -> Library {
    let library = Library::empty(name).await;
    library.put(41, &["1, '해리 포터', 1.0, 5", "2, 'harry potter', 2.0, 100", "3, NULL, 1.25, 0"]).await;
    library.put(42, &["40, '나무', 1.0, 40", "5, 'a, \"b\"', 10.0, 7"]).await;
    library
}

fn ids(page: &Value, list: &str) -> Vec<u64> {
    page["_embedded"][list].as_array().unwrap().iter().map(|row| row["bookId"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn books_are_found_by_name_number_stock_edition_and_change() {
    let library = library("lists_found").await;
    let nothing_held = QueryApi::start_with(&library.database_url, 0).await;
    nothing_held.stands_at(42).await;
    for (query, found) in [
        ("q=%ED%95%B4%EB%A6%AC", &[1][..]),
        ("q=%ED%8F%AC%20%ED%84%B0", &[1]),
        ("q=HARRY%20P", &[2]),
        ("q=40", &[40]),
        ("q=nothing", &[]),
        ("q=%25", &[]),
        ("q=_", &[]),
        ("minStock=7", &[2, 5, 40]),
        ("minStock=7&maxStock=40", &[5, 40]),
        ("maxStock=0", &[3]),
        ("version=1.0", &[1, 40]),
        ("version=1.250", &[3]),
        ("changedSince=41", &[5, 40]),
        ("changedSince=2026-11-24T08:05:00Z", &[1, 2, 3, 5, 40]),
        ("changedSince=2026-11-24T17:05:00.000001%2B09:00", &[]),
        ("q=%EB%82%98&minStock=41", &[]),
        ("minStock=18446744073709551615", &[]),
    ] {
        for api in [&library.query_api, &nothing_held] {
            for (list, path) in [("books", "/books"), ("admins", "/admins")] {
                let page = api.get(&format!("{path}?{query}"), &[]).await;
                assert_eq!(page.status, 200, "{}", page.text);
                assert_eq!(ids(&page.json(), list), found, "{query}");
                assert_eq!(page.json()["page"]["totalElements"], found.len(), "{query}");
            }
        }
    }
}

#[tokio::test]
async fn a_walk_along_its_links_brings_every_book_once_in_order() {
    let library = Library::empty("lists_walk").await;
    let books =
        "SELECT i, CASE WHEN i % 3 > 0 THEN '책 ' || i % 10 END, (1 + i % 12 * 0.75)::numeric(9,2), i % 7
        FROM generate_series(1, 253) AS i";
    library.put_all(253, books).await;
    for (sort, field) in [
        ("", "bookId"),
        ("&sort=stock,desc", "stock"),
        ("&sort=name", "name"),
        ("&sort=version,desc", "version"),
    ] {
        let mut next = Some(format!("/books?cursor=&size=50{sort}"));
        let (mut rows, mut parts) = (Vec::new(), 0);
        while let Some(path) = next {
            let part = library.get(&path).await.json();
            rows.extend(part["_embedded"]["books"].as_array().unwrap().clone());
            assert_eq!(part["page"], serde_json::json!({"size": 50}));
            parts += 1;
            next =
                part["_links"]["next"]["href"].as_str().map(|href| href.replace(&library.query_api.base, ""));
        }
        assert_eq!(parts, 6);
        let page = library.get(&format!("/books?size=1000{sort}")).await.json();
        assert_eq!(&Value::Array(rows), &page["_embedded"]["books"], "{field}");
    }
}

#[tokio::test]
async fn a_walk_is_not_shifted_by_books_that_come_in_meanwhile() {
    let library = library("lists_stable").await;
    let first = library.get("/books?cursor=&size=2").await.json();
    assert_eq!(ids(&first, "books"), [1, 2]);
    library.put(50, &["4, NULL, 1.0, 1", "6, NULL, 1.0, 1"]).await;
    let next = first["_links"]["next"]["href"].as_str().unwrap().replace(&library.query_api.base, "");
    assert_eq!(ids(&library.get(&next).await.json(), "books"), [3, 4]);
}

#[tokio::test]
async fn links_of_a_filtered_list_ask_the_same() {
    let library = library("lists_links").await;
    let page = library.get("/books?q=a%26b%20%ED%95%B4&cursor=&size=1").await.json();
    let first = page["_links"]["first"]["href"].as_str().unwrap();
    assert!(first.ends_with("/books?cursor=&q=a%26b%20%ED%95%B4&size=1"), "{first}");
    let page = library.get("/books?q=r&size=1").await.json();
    assert_eq!(page["_links"]["next"], Value::Null);
}

#[tokio::test]
async fn a_list_comes_as_csv_and_as_a_json_object_a_line() {
    let library = library("lists_forms").await;
    let nothing_held = QueryApi::start_with(&library.database_url, 0).await;
    nothing_held.stands_at(42).await;
    for api in [&library.query_api, &nothing_held] {
        let csv = api.get("/books", &[("accept", "text/csv")]).await;
        assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!((csv.header("bookstock-position"), csv.header("vary")), ("42", "accept"));
        assert_eq!(
            csv.text.lines().collect::<Vec<_>>()[..3],
            [
                "bookId,name,stock,version,revision,position,occurredAt",
                "1,해리 포터,5,1.0,0,41,2026-11-24T08:05:00.000000Z",
                "2,harry potter,100,2.0,0,41,2026-11-24T08:05:00.000000Z",
            ]
        );
        assert!(csv.text.contains("\n5,\"a, \"\"b\"\"\",7,10.0,0,42,"), "{}", csv.text);
        let lines =
            api.get("/admins?minStock=7&sort=bookStock,desc", &[("accept", "application/x-ndjson")]).await;
        assert_eq!(lines.header("content-type"), "application/x-ndjson");
        let stocks: Vec<_> = lines
            .text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["bookStock"].clone())
            .collect();
        assert_eq!(stocks, [100, 40, 7]);
        let part = api.get("/books?size=2&page=1", &[("accept", "text/csv")]).await;
        assert_eq!(part.text.lines().count(), 3);
        let known = api.get("/books", &[("accept", "text/csv"), ("if-none-match", csv.header("etag"))]).await;
        assert_eq!((known.status, known.text.as_str()), (304, ""));
        let other = api.get("/books", &[("if-none-match", csv.header("etag"))]).await;
        assert_eq!(other.status, 200);
    }
}

#[tokio::test]
async fn a_long_list_is_of_one_position_though_books_change_while_it_is_read() {
    let library = Library::empty("lists_long").await;
    library.put_all(1, "SELECT i, NULL::text, 1.0, 1 FROM generate_series(1, 20000) AS i").await;
    let nothing_held = QueryApi::start_with(&library.database_url, 0).await;
    nothing_held.stands_at(1).await;
    let client = crate::support::client();
    for (position, api) in [(2, &library.query_api), (3, &nothing_held)] {
        let url = format!("{}/books?sort=stock", api.base);
        let mut response = client.get(url).header("accept", "application/x-ndjson").send().await.unwrap();
        let mut text = response.chunk().await.unwrap().unwrap().to_vec();
        library
            .put_all(
                position,
                &format!("SELECT i, NULL::text, 1.0, {position} FROM generate_series(1, 20000) AS i"),
            )
            .await;
        while let Some(more) = response.chunk().await.unwrap() {
            text.extend(more);
        }
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 20_000);
        let before = format!("\"stock\":{},", position - 1);
        assert!(text.lines().all(|line| line.contains(&before)), "{before}");
    }
}
