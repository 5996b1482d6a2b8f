//! What the answers look like, field for field.

use crate::support::Library;
use serde_json::json;

#[tokio::test]
async fn a_book_is_shown_as_in_the_original_system() {
    let library = Library::empty("wire_book").await;
    library.put(42, &["1, NULL, 2.0, 100"]).await;
    let answer = library.query_api.get("/books/1", &[("host", "localhost:8083")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/hal+json");
    assert_eq!(
        answer.json(),
        json!({
            "_links": {
                "book": {"href": "http://localhost:8083/books/1"},
                "self": {"href": "http://localhost:8083/books/1"},
            },
            "name": null,
            "stock": 100,
            "version": 2.0,
            // Ours, besides.
            "bookId": 1,
            "revision": 0,
            "position": "42",
            "occurredAt": "2026-11-24T08:05:00.000000Z",
        })
    );
    assert!(answer.text.contains(r#""version":2.0"#), "{}", answer.text);
}

#[tokio::test]
async fn the_admin_list_is_shown_as_in_the_original_system() {
    let library = Library::empty("wire_admins").await;
    library.put(42, &["1, NULL, 2.0, 100"]).await;
    let answer = library.query_api.get("/admins", &[("host", "localhost:8086")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/hal+json");
    let row = json!({
        "_links": {
            "admin": {"href": "http://localhost:8086/admins/1"},
            "self": {"href": "http://localhost:8086/admins/1"},
        },
        "bookId": 1,
        "bookStock": 100,
        "bookVersion": 2.0,
        // Ours, besides.
        "bookName": null,
        "revision": 0,
        "position": "42",
        "occurredAt": "2026-11-24T08:05:00.000000Z",
    });
    assert_eq!(
        answer.json(),
        json!({
            "_embedded": {"admins": [row]},
            "_links": {
                "profile": {"href": "http://localhost:8086/profile/admins"},
                "self": {"href": "http://localhost:8086/admins"},
            },
            // Ours, besides.
            "page": {"size": 20, "totalElements": 1, "totalPages": 1, "number": 0},
        })
    );
    let entry = library.query_api.get("/admins/1", &[("host", "localhost:8086")]).await;
    assert_eq!(entry.json(), row);
}

#[tokio::test]
async fn the_list_of_books_holds_each_book_as_it_is_shown_alone() {
    let library = Library::empty("wire_books").await;
    library.put(42, &["1, '해리 포터', 1.25, 7", "2, NULL, 10.0, 0"]).await;
    let list = library.get("/books").await;
    let books = [library.get("/books/1").await.json(), library.get("/books/2").await.json()];
    assert_eq!(list.json()["_embedded"]["books"], json!(books));
    assert_eq!(books[0]["name"], "해리 포터");
    assert!(list.text.contains(r#""version":1.25"#), "{}", list.text);
    assert!(list.text.contains(r#""version":10.0"#), "{}", list.text);
}

#[tokio::test]
async fn a_library_without_books_has_empty_lists() {
    let library = Library::empty("wire_empty").await;
    for (path, name) in [("/books", "books"), ("/admins", "admins")] {
        let answer = library.get(path).await;
        assert_eq!(answer.json()["_embedded"], json!({name: []}));
        assert_eq!(answer.json()["page"]["totalPages"], 0);
        assert_eq!(answer.header("bookstock-position"), "0");
    }
}

#[tokio::test]
async fn the_profiles_that_lists_link_to_describe_every_field() {
    let library = Library::empty("wire_profiles").await;
    library.put(42, &["1, NULL, 2.0, 100"]).await;
    for (list, row) in [("/books", "/books/1"), ("/admins", "/admins/1")] {
        let list = library.query_api.get(list, &[("host", "h")]).await.json();
        let profile = list["_links"]["profile"]["href"].as_str().unwrap().replace("http://h", "");
        let answer = library.get(&profile).await;
        assert_eq!(answer.header("content-type"), "application/alps+json");
        let profile = answer.json();
        let described = profile["alps"]["descriptor"][0]["descriptor"].as_array().unwrap();
        let mut described: Vec<_> = described.iter().map(|field| field["id"].as_str().unwrap()).collect();
        described.push("_links");
        described.sort_unstable();
        let row = library.get(row).await.json();
        let mut fields: Vec<_> = row.as_object().unwrap().keys().collect();
        fields.sort_unstable();
        assert_eq!(described, fields);
    }
}

#[tokio::test]
async fn links_lead_back_through_the_gateway() {
    let library = Library::empty("wire_gateway").await;
    library.put(42, &["1, NULL, 2.0, 100"]).await;
    let gateway = [("x-forwarded-host", "books.example"), ("x-forwarded-proto", "https")];
    let book = library.query_api.get("/books/1", &gateway).await.json();
    assert_eq!(book["_links"]["self"]["href"], "https://books.example/books/1");
}
