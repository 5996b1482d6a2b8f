//! The wire examples of the original system.

use crate::{Answer, Site, assert_shows, eventually};
use serde_json::{Value, json};

/// The four examples of the original system: `library`, `book` and `admin` are the addresses of its services.
///
/// # Panics
/// When one of them is answered in another way.
pub async fn the_examples(library: &Site, book: &Site, admin: &Site) {
    let links = |name: &str, href: String| json!({name: {"href": href}, "self": {"href": href}});
    let library_links = links("library", library.url("/libraries/1"));

    // HTTPie sends every value as a string.
    let warehousing = json!({"id": "1", "bookId": "1", "qty": "123", "version": "1.0"});
    let warehoused = library.post("/libraries", &warehousing).await;
    let expected = json!({"_links": library_links, "bookId": 1, "qty": 123, "version": 1.0});
    created(&warehoused, &library.url("/libraries/1"), &expected);

    let renewed = library.post("/libraries", &json!({"id": "1", "bookId": "1", "version": "2.0"})).await;
    let expected = json!({"_links": library_links, "bookId": 1, "qty": null, "version": 2.0});
    created(&renewed, &library.url("/libraries/1"), &expected);
    let position = renewed.json(201)["position"].as_str().unwrap().to_owned();

    let shown = book.get(&format!("/books/1?minPosition={position}&wait=10000")).await;
    let expected =
        json!({"_links": links("book", book.url("/books/1")), "name": null, "stock": 100, "version": 2.0});
    hal(&shown, &expected);

    // Behind a gateway another replica may answer, which has not heard of it yet.
    let listed = eventually("the admin list shows the renewal", async || {
        let listed = admin.get("/admins").await;
        let is_there = listed.wanted(200)?["_embedded"]["admins"][0]["bookVersion"] == 2.0;
        if is_there { Ok(listed) } else { Err(listed.text) }
    })
    .await;
    let row = json!({"_links": links("admin", admin.url("/admins/1")), "bookId": 1, "bookStock": 100, "bookVersion": 2.0});
    let expected = json!({"_embedded": {"admins": [row]}, "_links": {
        "profile": {"href": admin.url("/profile/admins")}, "self": {"href": admin.url("/admins")}}});
    hal(&listed, &expected);
}

#[track_caller]
fn created(answer: &Answer, location: &str, expected: &Value) {
    assert_shows(&answer.json(201), expected);
    assert_eq!(answer.header("location"), location);
    assert_eq!(answer.header("content-type"), "application/json");
}

#[track_caller]
fn hal(answer: &Answer, expected: &Value) {
    assert_shows(&answer.json(200), expected);
    assert_eq!(answer.header("content-type"), "application/hal+json");
}
