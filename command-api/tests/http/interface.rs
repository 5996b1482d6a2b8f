//! The OpenAPI document.

use crate::support::{Replica, Store};
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// What any route may answer instead; and one that takes a command, besides.
const PROBLEMS: [&str; 4] = ["400", "429", "500", "503"];
const PROBLEMS_OF_COMMANDS: [&str; 6] = ["401", "403", "408", "413", "415", "422"];

#[tokio::test]
async fn every_route_is_in_the_document_with_its_problems_and_an_id_of_its_own() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let document = replica.get("/openapi.json").await.ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    let (mut routes, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{path} {method}");
            routes.insert(format!("{method} {path}"));
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "two operations are called {id}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{id}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{id}");
            let besides = if method == "post" { &PROBLEMS_OF_COMMANDS[..] } else { &[] };
            for status in PROBLEMS.iter().chain(besides) {
                assert!(answers.contains_key(*status), "{id} says nothing of {status}");
            }
            for (status, answer) in answers.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
                let problem = &answer["content"]["application/problem+json"];
                assert!(problem["schema"].is_object(), "{id} {status}: {answer}");
                for example in problem["examples"].as_object().unwrap().values() {
                    assert_eq!(example["value"]["status"].to_string(), *status, "{id}: {example}");
                }
            }
        }
    }
    for route in [
        "post /books/{bookId}/warehousings",
        "post /books/{bookId}/renewals",
        "post /books/{bookId}/corrections",
        "post /warehousings",
        "post /libraries",
        "get /libraries/{bookId}",
        "get /livez",
        "get /readyz",
        "get /metrics",
    ] {
        assert!(routes.contains(route), "{route} is not in {routes:?}");
    }
}

#[tokio::test]
async fn whatever_the_document_refers_to_is_in_it() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let document = replica.get("/openapi.json").await.ok(200);
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
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
async fn the_document_can_be_read_by_people() {
    let store = Store::start().await;
    let answer = Replica::start(&store).await.get("/docs").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.text.contains("openapi.json"));
}
