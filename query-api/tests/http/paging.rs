//! Lists of many books, page by page.

use crate::support::Library;
use serde_json::Value;

/// Books in no order: stocks with many ties, editions that would sort differently as text, some without a name.
const BOOKS: &str =
    "SELECT i, CASE WHEN i % 3 > 0 THEN '책 ' || i % 10 END, (1 + i % 12 * 0.75)::numeric(9,2), i % 7
    FROM generate_series(1, 253) AS i";

async fn library(name: &str) -> Library {
    let library = Library::empty(name).await;
    library.put_all(253, BOOKS).await;
    library
}

/// All rows, by following the links from the first page.
async fn all_rows(library: &Library, first: &str, list: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let answer = library.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let mut page = answer.json();
        assert_eq!(page["page"]["totalElements"], 253);
        rows.append(page["_embedded"][list].as_array_mut().unwrap());
        next = page["_links"]["next"]["href"].as_str().map(|href| href.replace(&library.query_api.base, ""));
        assert!(rows.len() <= 253, "more rows than there are books");
    }
    rows
}

fn numbers(rows: &[Value], field: &str) -> Vec<u64> {
    rows.iter().map(|row| row[field].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn all_pages_together_are_the_whole_list_in_order() {
    let library = library("paging_whole").await;
    for (first, list) in [("/books", "books"), ("/books?size=100", "books"), ("/admins?size=1", "admins")] {
        let rows = all_rows(&library, first, list).await;
        assert_eq!(numbers(&rows, "bookId"), (1..=253).collect::<Vec<_>>(), "{first}");
    }
}

#[tokio::test]
async fn pages_of_a_sorted_list_neither_overlap_nor_leave_out() {
    let library = library("paging_sorted").await;
    for (first, list, stock) in [
        ("/books?size=40&sort=stock,desc", "books", "stock"),
        ("/admins?sort=bookStock,desc&size=40", "admins", "bookStock"),
    ] {
        let rows = all_rows(&library, first, list).await;
        let keys: Vec<_> = numbers(&rows, stock).into_iter().zip(numbers(&rows, "bookId")).collect();
        let mut sorted: Vec<_> = (1..=253).map(|id| (id % 7, id)).collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(keys, sorted, "{first}");
    }
}

#[tokio::test]
async fn editions_are_sorted_as_numbers_and_further_fields_break_ties() {
    let library = library("paging_editions").await;
    let rows = all_rows(&library, "/books?size=1000&sort=version,stock,desc&sort=bookId,desc", "books").await;
    let hundredths =
        |row: &Value| row["version"].to_string().parse::<f64>().map(|version| version * 100.0).unwrap();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number, 100 to 925")]
    let keys: Vec<_> = rows
        .iter()
        .map(|row| (hundredths(row) as u64, row["stock"].as_u64().unwrap(), row["bookId"].as_u64().unwrap()))
        .collect();
    let mut sorted: Vec<_> = (1..=253).map(|id: u64| (100 + id % 12 * 75, id % 7, id)).collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(keys, sorted);
}

#[tokio::test]
async fn the_last_page_leads_back_and_one_beyond_it_is_empty() {
    let library = library("paging_end").await;
    let last = library.get("/admins?page=12").await.json();
    assert_eq!(last["_embedded"]["admins"].as_array().unwrap().len(), 13);
    assert_eq!(last["page"]["totalPages"], 13);
    assert_eq!(last["_links"]["next"], Value::Null);
    assert_eq!(last["_links"]["prev"]["href"], format!("{}/admins?page=11", library.query_api.base));
    for beyond in ["/admins?page=13", "/admins?page=18446744073709551615&size=1000"] {
        let answer = library.get(beyond).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["_embedded"]["admins"], Value::Array(Vec::new()));
    }
}
