//! The whole document: the operations of a service, and what they refer to.

use super::operation::{headers_of_problems, of_problems};
use super::{Description, Operation, Routes};
use crate::problem::{METHOD_NOT_ALLOWED, NO_SUCH_ROUTE};
use axum::http::Method;
use serde_json::{Value, json};

/// The document of `service`, whose routes are these, with those that every service has. Only one that is `guarded` asks
/// for tokens.
pub(crate) fn document(service: &str, routes: &Routes, guarded: bool) -> Value {
    let mut description = routes.description.clone();
    describe_the_common(&mut description);
    let mut schemas = description.schemas;
    schemas.insert("Problem".to_owned(), problem());
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("bookstock {service}"),
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            "description": "A library's book stock. Every error is a problem document (RFC 9457) with a stable type.",
        },
        "servers": [{"url": "/"}],
        "paths": description.paths,
        "components": {
            "schemas": schemas,
            "headers": headers_of_problems(),
            // What is answered where no operation is.
            "responses": {
                "NoSuchRoute": of_problems(&[&NO_SUCH_ROUTE]),
                "MethodNotAllowed": of_problems(&[&METHOD_NOT_ALLOWED]),
            },
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A token of the configured issuer. A service without one asks for none.",
            }},
        },
    });
    if !guarded {
        open_to_all(&mut document);
    }
    document
}

/// Takes out of a document that tokens are asked for.
pub(super) fn open_to_all(document: &mut Value) {
    let items = document["paths"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut);
    let operations = items.filter_map(Value::as_object_mut).flat_map(serde_json::Map::values_mut);
    operations.for_each(|operation| operation["security"] = json!([]));
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457. A problem may have members of its own, such as field or revision.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "pattern": "^urn:bookstock:problem:[a-z-]+$"},
            "title": {"type": "string", "minLength": 1},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "minLength": 1},
        },
    })
}

fn describe_the_common(description: &mut Description) {
    let object = json!({"type": "object"});
    let text = json!({"type": "string"});
    let get = |id, summary, description| Operation::new(id, summary, description);
    let json = "application/json";
    for (path, operation) in [
        (
            "/livez",
            get(
                "livez",
                "Whether the process answers",
                "Alive means that the process answers; nothing else is looked at.",
            )
            .answers(200, "It does.", json, &object, &json!({"status": "alive"}), &[]),
        ),
        (
            "/readyz",
            get("readyz", "Whether the service can do its work", "Every check by name, with what is wrong.")
                .answers(200, "It can.", json, &object, &json!({"status": "ready", "checks": {}}), &[])
                .answers_also(503, json, &object),
        ),
        (
            "/metrics",
            get("metrics", "Metrics for Prometheus", "In the text format; docs/metrics.md lists them.")
                .answers(200, "The metrics.", "text/plain", &text, &json!("service_ready 1\n"), &[]),
        ),
        (
            "/openapi.json",
            get("openapi", "This document", "OpenAPI 3.1.").answers(
                200,
                "The document.",
                json,
                &object,
                &json!({"openapi": "3.1.0"}),
                &[],
            ),
        ),
        (
            "/docs",
            get("docs", "This document for people", "A page without anything from elsewhere.").answers(
                200,
                "The page.",
                "text/html",
                &text,
                &json!("<!doctype html>"),
                &[],
            ),
        ),
    ] {
        description.add(&Method::GET, path, &operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_asks_for_no_tokens_does_not_say_that_it_does() {
        let needed = |guarded| {
            document("test", &Routes::default(), guarded)["paths"]["/metrics"]["get"]["security"].take()
        };
        assert_eq!(needed(true), json!([{"bearer": ["ops"]}]));
        assert_eq!(needed(false), json!([]));
    }
}
