//! `GET /status`: where the read models stand, for people who watch.

use super::describe;
use super::state::Shared;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use read_model::Reader;
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
    projection: Projection,
}

/// How the projection is. While the database is out, nobody knows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Projection {
    /// How far it has come.
    position: Option<String>,
    /// Whether a projector holds the lease.
    running: Option<bool>,
    /// Since when that is so.
    since: Option<String>,
    /// The age of the oldest event that is not applied, 0 when all are: as the projector said within the last second or so.
    behind_seconds: Option<f64>,
    /// How many events are not applied.
    behind_events: Option<u64>,
}

impl Projection {
    fn of(reader: &Reader) -> Self {
        let (known, position) = (reader.projection(), reader.standing().map(|at| at.position.to_string()));
        let lag = known.and_then(|known| known.lag);
        Self {
            position,
            running: known.map(|known| known.running),
            since: known.and_then(|known| known.since).map(|since| since.to_string()),
            behind_seconds: lag.map(|lag| lag.behind.as_secs_f64()),
            behind_events: lag.and_then(|lag| lag.events),
        }
    }
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
    let names = ["position", "running", "since", "behindSeconds", "behindEvents"];
    let said = |of: &str, description: &str| json!({"type": [of, "null"], "description": description});
    let fields = json!({
        "position": said("string", "How far it has come."),
        "running": said("boolean", "Whether a projector holds the lease. null: the database does not say."),
        "since": said("string", "Since when that is so."),
        "behindSeconds": said("number", "The age of the oldest event that is not applied; 0: all are. null: no projector \
            that hears the event store says so."),
        "behindEvents": said("integer", "How many events are not applied. null: the projector still reads history, or nobody \
            knows."),
    });
    let projection = describe::object(&names, &fields);
    let fields = json!({
        "position": may_be("string"),
        "ageMs": may_be("integer"),
        "stale": {"type": "boolean"},
        "generation": may_be("integer"),
        "source": {"type": "string", "enum": ["memory", "database"]},
        "parked": number,
        "booksInMemory": number,
        "projection": projection,
    });
    let names =
        ["position", "ageMs", "stale", "generation", "source", "parked", "booksInMemory", "projection"];
    let example = json!({
        "position": "2", "ageMs": 12, "stale": false, "generation": 1, "source": "memory", "parked": 0, "booksInMemory": 1,
        "projection": {
            "position": "2", "running": true, "since": "2026-11-28T08:05:00.000000Z", "behindSeconds": 0.0, "behindEvents": 0,
        },
    });
    Operation::new("getStatus", "Where the views stand", "For people who watch, and for the page.").answers(
        200,
        "How things are. Before the database first answered, nothing is known of position and age, and while it is out, \
         nothing of the projection.",
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
        projection: Projection::of(&shared.reader),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(status)).into_response()
}
