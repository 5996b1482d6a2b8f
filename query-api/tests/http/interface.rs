//! The OpenAPI document.

use crate::support::Library;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_route_is_in_the_document_with_its_problems_and_an_id_of_its_own() {
    let library = Library::empty("interface_routes").await;
    let document = library.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let (mut routes, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert_eq!(method, "get", "{path}");
            routes.insert(path.as_str());
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "two operations are called {id}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{id}");
            assert!(operation["responses"].get("200").is_some(), "{id}");
        }
    }
    let known = BTreeSet::from([
        "/admins",
        "/admins/changes",
        "/admins/{bookId}",
        "/books",
        "/books/changes",
        "/books/{bookId}",
        "/books/{bookId}/history",
        "/docs",
        "/livez",
        "/metrics",
        "/openapi.json",
        "/profile/admins",
        "/profile/books",
        "/profile/history",
        "/readyz",
        "/status",
    ]);
    assert_eq!(routes, known);
    library
        .sql(
            "INSERT INTO rm_1.book_history (position, book_id, movement, qty, version, stock, revision, occurred_at)
                VALUES (42, 1, 'Warehoused', 5, 1.0, 5, 0, '2026-11-24T08:05:00Z')",
        )
        .await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    for path in known {
        let url = format!("{}{}", library.query_api.base, path.replace("{bookId}", "1"));
        // Those that follow changes have no end to be read to.
        let status = crate::support::client().get(url).send().await.unwrap().status();
        assert!(status.is_success(), "{path} is in the document and answers {status}");
    }
}

#[tokio::test]
async fn whatever_the_document_refers_to_is_in_it() {
    let library = Library::empty("interface_references").await;
    let document = library.get("/openapi.json").await.json();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for schema in ["BookStock", "Admin", "Movement", "Problem"] {
        let reference = format!("#/components/schemas/{schema}");
        assert!(references.contains(&reference.as_str()), "nothing answers a {schema}");
    }
    for reference in references {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn a_parameter_that_a_route_takes_is_in_the_document_and_the_other_way_round() {
    let library = Library::empty("interface_parameters").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let document = library.get("/openapi.json").await.json();
    for path in ["/books", "/books/{bookId}", "/books/{bookId}/history", "/admins", "/admins/{bookId}"] {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let of_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let mut told: Vec<_> = of_query.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        // A route names all that it knows when it is asked with one that it does not.
        let refused = library.get(&format!("{}?colour=red", path.replace("{bookId}", "1"))).await.json();
        let (_, known) = refused["detail"].as_str().unwrap().split_once("knows ").unwrap();
        let mut known: Vec<_> = known.trim_end_matches('.').split(", ").collect();
        told.sort_unstable();
        known.sort_unstable();
        assert_eq!(told, known, "{path}");
    }
}

#[tokio::test]
async fn the_document_can_be_read_by_people() {
    let library = Library::empty("interface_docs").await;
    let answer = library.get("/docs").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.text.contains("openapi.json"));
}
