//! `GET /status`: where the read models stand, for people who watch.

use super::describe;
use super::state::Shared;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::json;
use service_kit::openapi::Operation;

/// How things are. Before the database first answered, nothing is known of position and age.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    position: Option<String>,
    age_ms: Option<u64>,
    stale: bool,
    generation: Option<i32>,
    /// Where answers come from.
    source: Source,
    /// How many books wait for an operator.
    parked: u64,
    /// How many books are in memory.
    books_in_memory: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Memory,
    Database,
}

/// How the document tells it.
pub(super) fn operation() -> Operation {
    let number = json!({"type": "integer", "minimum": 0});
    let may_be = |of: &str| json!({"type": [of, "null"]});
    let fields = json!({
        "position": may_be("string"),
        "ageMs": may_be("integer"),
        "stale": {"type": "boolean"},
        "generation": may_be("integer"),
        "source": {"type": "string", "enum": ["memory", "database"]},
        "parked": number,
        "booksInMemory": number,
    });
    let names = ["position", "ageMs", "stale", "generation", "source", "parked", "booksInMemory"];
    let example = json!({
        "position": "2", "ageMs": 12, "stale": false, "generation": 1, "source": "memory", "parked": 0, "booksInMemory": 1,
    });
    Operation::new("getStatus", "Where the views stand", "For people who watch, and for the page.").answers(
        200,
        "How things are. Before the database first answered, nothing is known of position and age.",
        "application/json",
        &describe::object(&names, &fields),
        &example,
        &[("Cache-Control", "no-store")],
    )
}

pub(super) async fn status(State(shared): State<Shared>) -> Response {
    let standing = shared.reader.standing();
    let status = Status {
        position: standing.map(|at| at.position.to_string()),
        age_ms: standing.map(|at| u64::try_from(at.age.as_millis()).unwrap_or(u64::MAX)),
        stale: standing.is_none_or(|at| at.stale),
        generation: standing.map(|at| at.generation),
        source: if standing.is_some_and(|at| at.value.whole) { Source::Memory } else { Source::Database },
        parked: standing.map_or(0, |at| at.parked),
        books_in_memory: standing.map_or(0, |at| at.value.books),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(status)).into_response()
}
