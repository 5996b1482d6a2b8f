//! A book whose stream waits at an event that could not be applied, while all others go on.

use crate::support::{Library, QueryApi};

/// Books 1 and 2 at position 42, then an event of book 1 at 50 and the first one of book 3 at 51 that nobody can apply,
/// and book 2 goes on to 52.
async fn library(name: &str) -> Library {
    let library = Library::empty(name).await;
    library.put(42, &["1, '책', 1.0, 5", "2, NULL, 1.0, 6"]).await;
    library
        .sql(
            "INSERT INTO bookstock.parked (generation, book_id, revision, position, reason) VALUES
                (1, 1, 1, 50, 'event 1 is Shredded'), (1, 3, 0, 51, 'event 0 is Shredded')",
        )
        .await;
    library.put(52, &["2, NULL, 1.0, 7"]).await;
    library
}

#[tokio::test]
async fn a_parked_book_is_shown_as_it_was_but_never_as_newer_than_that() {
    let library = library("parked_book").await;
    let nothing_held = QueryApi::start_with(&library.database_url, 0).await;
    nothing_held.stands_at(52).await;
    for api in [&library.query_api, &nothing_held] {
        for path in
            ["/books/1?", "/admins/1?", "/books/1/history?", "/books/1?asOf=42&", "/books/1/history?asOf=42&"]
        {
            for known in ["", "minPosition=0", "minPosition=42", "minPosition=49"] {
                let answer = api.get(&format!("{path}{known}"), &[]).await;
                assert_eq!(
                    (answer.status, answer.header("bookstock-position")),
                    (200, "52"),
                    "{path}{known}"
                );
            }
            for unknown in ["minPosition=50", "minPosition=52&wait=0"] {
                let answer = api.get(&format!("{path}{unknown}"), &[]).await;
                assert_eq!(answer.outcome(), (503, "stream-parked".to_owned()), "{path}{unknown}");
                assert_eq!(answer.json()["parkedAt"], "50");
                assert_eq!((answer.header("bookstock-position"), answer.header("retry-after")), ("52", "30"));
            }
        }
        for path in
            ["/books/1?asOf=50", "/admins/1?asOf=51", "/books/1/history?asOf=52", "/books/3?minPosition=51"]
        {
            assert_eq!(api.get(path, &[]).await.outcome(), (503, "stream-parked".to_owned()), "{path}");
        }
        assert_eq!(api.get("/books/3", &[]).await.outcome(), (404, "book-unknown".to_owned()));
        assert_eq!(api.get("/books/2?minPosition=52", &[]).await.json()["stock"], 7);
        let behind = api.get("/books/1?minPosition=53&wait=0", &[]).await;
        assert_eq!(behind.outcome(), (503, "projection-behind".to_owned()));
    }
}

#[tokio::test]
async fn lists_say_how_many_books_are_parked() {
    let library = library("parked_lists").await;
    let nothing_held = QueryApi::start_with(&library.database_url, 0).await;
    nothing_held.stands_at(52).await;
    for api in [&library.query_api, &nothing_held] {
        for path in
            ["/books?minPosition=52", "/admins", "/books?cursor=&size=1", "/books?asOf=42", "/admins?q=none"]
        {
            for media in ["application/hal+json", "text/csv"] {
                let answer = api.get(path, &[("accept", media)]).await;
                assert_eq!((answer.status, answer.header("bookstock-parked")), (200, "2"), "{path}");
            }
        }
        let known = api.get("/books", &[]).await;
        let again = api.get("/books", &[("if-none-match", known.header("etag"))]).await;
        assert_eq!((again.status, again.header("bookstock-parked")), (304, "2"));
        assert!(!api.get("/books/2", &[]).await.headers.contains_key("bookstock-parked"));
        assert_eq!(api.get("/status", &[]).await.json()["parked"], 2);
    }
}

#[tokio::test]
async fn a_book_that_goes_on_is_shown_at_the_position_that_was_there_before() {
    let library = library("parked_goes_on").await;
    let nothing_held = QueryApi::start_with(&library.database_url, 0).await;
    nothing_held.stands_at(52).await;
    let before = library.get("/books").await;
    for path in ["/books/1", "/admins/1"] {
        assert_eq!(nothing_held.get(path, &[]).await.status, 200);
    }
    assert_eq!(
        nothing_held.get("/books", &[]).await.text.replace(&nothing_held.base, &library.query_api.base),
        before.text
    );
    // As the projector does when it folded the stream anew.
    library
        .sql(
            "BEGIN;
             UPDATE rm_1.book_stock SET stock = 8, revision = 1, position = 50 WHERE book_id = 1;
             UPDATE rm_1.admin_list SET book_stock = 8, revision = 1, position = 50 WHERE book_id = 1;
             DELETE FROM bookstock.parked WHERE book_id = 1;
             UPDATE bookstock.projection SET refolds = refolds + 1;
             NOTIFY bookstock_position, '52';
             COMMIT",
        )
        .await;
    for api in [&library.query_api, &nothing_held] {
        let shown = crate::support::eventually(api, "/books/1?minPosition=52", 200).await;
        assert_eq!(shown.json()["stock"], 8);
        assert_eq!(api.get("/books/1", &[]).await.json()["stock"], 8);
        assert_eq!(api.get("/admins/1", &[]).await.json()["bookStock"], 8);
        assert_eq!(api.get("/books", &[]).await.json()["_embedded"]["books"][0]["stock"], 8);
    }
    let after = library.query_api.get("/books", &[("if-none-match", before.header("etag"))]).await;
    assert_eq!(
        (after.status, after.header("bookstock-position")),
        (200, before.header("bookstock-position"))
    );
    assert_eq!(after.header("bookstock-parked"), "1");
    library.sql("DELETE FROM bookstock.parked; UPDATE bookstock.projection SET refolds = refolds + 1").await;
    crate::support::eventually(&library.query_api, "/books/3?minPosition=52", 404).await;
    assert!(!library.get("/books").await.headers.contains_key("bookstock-parked"));
}

#[tokio::test]
async fn control_tables_that_know_of_no_parked_books_are_read_as_they_are() {
    let library = Library::empty("parked_unknown").await;
    // In the order in which the query side looks at them: dropping the one that refers to the other locks both.
    library
        .sql(
            "BEGIN;
             LOCK TABLE bookstock.projection;
             DROP TABLE bookstock.parked;
             ALTER TABLE bookstock.projection DROP COLUMN refolds;
             COMMIT",
        )
        .await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let later = QueryApi::start(&library.database_url).await;
    later.stands_at(42).await;
    for api in [&library.query_api, &later] {
        assert_eq!(api.get("/books/1?minPosition=42", &[]).await.json()["stock"], 5);
    }
}
