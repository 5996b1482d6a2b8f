//! Entity tags over HTTP.

use crate::support::{Answer, Library, QueryApi, client};

#[tokio::test]
async fn a_client_that_has_the_answer_does_not_get_it_again() {
    let library = Library::empty("caching").await;
    library.put(42, &["1, NULL, 1.0, 5", "2, NULL, 1.0, 5"]).await;
    for path in ["/books/1", "/admins/1", "/books", "/admins", "/admins?size=1&page=1"] {
        let first = library.get(path).await;
        assert_eq!(first.header("cache-control"), "no-cache");
        let tag = first.header("etag");
        let again = library.query_api.get(path, &[("if-none-match", tag)]).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), tag);
        assert_eq!((again.header("bookstock-position"), again.header("cache-control")), ("42", "no-cache"));
        assert!(again.header("bookstock-age-ms").parse::<u64>().is_ok(), "{path}");
    }
}

#[tokio::test]
async fn a_change_makes_another_tag_for_the_book_and_for_every_list() {
    let library = Library::empty("caching_change").await;
    library.put(42, &["1, NULL, 1.0, 5", "2, NULL, 1.0, 5"]).await;
    let paths = ["/books/1", "/admins/1", "/books", "/admins"];
    let mut tags = Vec::new();
    for path in paths {
        tags.push(library.get(path).await.header("etag").to_owned());
    }
    assert_eq!(tags[0], "\"0.1\"");
    let unchanged = library.get("/books/2").await.header("etag").to_owned();
    library.put(43, &["1, NULL, 1.0, 12"]).await;
    for (path, tag) in paths.into_iter().zip(&tags) {
        let answer = library.query_api.get(path, &[("if-none-match", tag)]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_ne!(answer.header("etag"), tag);
    }
    assert_eq!(library.get("/books/1").await.header("etag"), "\"1.1\"");
    let other = library.query_api.get("/books/2", &[("if-none-match", &unchanged)]).await;
    assert_eq!((other.status, other.header("bookstock-position")), (304, "43"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_list_is_older_than_its_position_however_often_it_is_asked_for_while_books_change() {
    let library = Library::empty("caching_lists").await;
    // At each position there is one book, of that stock.
    library.put(100, &["1, NULL, 1.0, 100"]).await;
    let last = 160;
    let asking = async {
        let mut seen = std::collections::BTreeSet::new();
        while seen.last() < Some(&last) {
            for (path, accept, stock) in [
                (
                    "/books",
                    "*/*",
                    (|answer| answer.json()["_embedded"]["books"][0]["stock"].to_string())
                        as fn(&Answer) -> String,
                ),
                ("/admins?cursor=&size=5", "*/*", |answer| {
                    answer.json()["_embedded"]["admins"][0]["bookStock"].to_string()
                }),
                ("/books?page=0", "text/csv", |answer| {
                    answer.text.lines().nth(1).unwrap().split(',').nth(2).unwrap().to_owned()
                }),
            ] {
                let answer = library.query_api.get(path, &[("accept", accept)]).await;
                assert_eq!(stock(&answer), answer.header("bookstock-position"), "{path}");
                seen.insert(answer.header("bookstock-position").parse::<u64>().unwrap());
            }
        }
        seen.len()
    };
    let changing = async {
        for position in 101..=last {
            library.put(position, &[&format!("1, NULL, 1.0, {position}")]).await;
        }
    };
    let (states, ()) = tokio::join!(asking, changing);
    assert!(states > 3, "{states}");
}

#[tokio::test]
async fn a_list_that_others_asked_for_has_the_links_and_the_form_of_who_asks() {
    let library = Library::empty("caching_links").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    for _ in 0..2 {
        for host in ["here.example", "there.example"] {
            let page = library.query_api.get("/books?size=1", &[("x-forwarded-host", host)]).await.json();
            assert_eq!(page["_links"]["self"]["href"], format!("http://{host}/books?size=1"));
            assert_eq!(
                page["_embedded"]["books"][0]["_links"]["self"]["href"],
                format!("http://{host}/books/1")
            );
            let rows = library
                .query_api
                .get("/books?size=1", &[("x-forwarded-host", host), ("accept", "text/csv")])
                .await;
            assert!(rows.text.starts_with("bookId,"), "{}", rows.text);
        }
    }
}

#[tokio::test]
async fn every_answer_says_how_long_it_may_be_kept_and_those_of_the_views_where_they_stand() {
    let library = Library::empty("caching_all").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let nothing_held = QueryApi::start_with(&library.database_url, 0).await;
    nothing_held.stands_at(42).await;
    for api in [&library.query_api, &nothing_held] {
        for (path, status, cache) in [
            ("/books/1", 200, "no-cache"),
            ("/books", 200, "no-cache"),
            ("/books?cursor=&size=5", 200, "no-cache"),
            ("/admins/1", 200, "no-cache"),
            ("/admins", 200, "no-cache"),
            ("/books/1/history", 200, "no-cache"),
            ("/books/1?asOf=42", 200, "no-cache"),
            ("/books?asOf=42", 200, "no-cache"),
            ("/books/2", 404, "no-cache"),
            ("/books/1?asOf=41", 404, "no-cache"),
            ("/books/2/history", 404, "no-cache"),
            ("/books/x", 404, "no-store"),
            ("/books?size=0", 400, "no-store"),
            ("/books/1/history?order=%FF", 400, "no-store"),
            ("/books/changes?since=x", 400, "no-store"),
            ("/admins/changes?sinse=1", 400, "no-store"),
            ("/admins/1?minPosition=43&wait=0", 503, "no-store"),
            ("/admins?minPosition=43&wait=0", 503, "no-store"),
            ("/books/1/history?minPosition=43&wait=0", 503, "no-store"),
            ("/books/1?asOf=43&wait=0", 503, "no-store"),
        ] {
            let answer = api.get(path, &[]).await;
            assert_eq!((answer.status, answer.header("cache-control")), (status, cache), "{path}");
            assert_eq!(answer.header("bookstock-position"), "42", "{path}");
            assert!(answer.header("bookstock-age-ms").parse::<u64>().is_ok(), "{path}");
        }
        for accept in ["text/csv", "application/x-ndjson"] {
            let whole = api.get("/books", &[("accept", accept)]).await;
            assert_eq!(
                (whole.header("cache-control"), whole.header("bookstock-position")),
                ("no-cache", "42")
            );
            assert!(whole.headers.contains_key("bookstock-age-ms"), "{accept}");
        }
        for (path, cache) in [
            ("/status", "no-store"),
            ("/livez", "no-store"),
            ("/readyz", "no-store"),
            ("/metrics", "no-cache"),
            ("/openapi.json", "no-cache"),
            ("/docs", "no-cache"),
            ("/profile/books", "no-cache"),
            ("/profile/admins", "no-cache"),
            ("/profile/history", "no-cache"),
            ("/nowhere", "no-store"),
        ] {
            assert_eq!(api.get(path, &[]).await.header("cache-control"), cache, "{path}");
        }
        for path in ["/books/changes", "/admins/changes?since=0"] {
            let changes = client().get(format!("{}{path}", api.base)).send().await.unwrap();
            let header = |name| changes.headers().get(name).and_then(|value| value.to_str().ok());
            assert_eq!(
                (header("cache-control"), header("bookstock-position")),
                (Some("no-store"), Some("42"))
            );
            assert!(header("bookstock-age-ms").is_some_and(|age| age.parse::<u64>().is_ok()), "{path}");
        }
        let nowhere = api.get("/books", &[("x-forwarded-host", "no host")]).await;
        assert_eq!((nowhere.status, nowhere.header("bookstock-position")), (400, "42"));
        let no_id = api.get("/books/changes", &[("last-event-id", "x")]).await;
        assert_eq!((no_id.status, no_id.header("bookstock-position")), (400, "42"));
    }
}
