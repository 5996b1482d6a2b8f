//! What the operations of the query side have in common in the OpenAPI document.

use super::field::Field;
use super::hal;
use super::media::Media;
use super::profile;
use super::rows::Written;
use super::shown::Shown;
use crate::problem::{
    BOOK_UNKNOWN, INVALID_PARAMETER, PROJECTION_BEHIND, READ_MODEL_UNAVAILABLE, STREAM_PARKED,
};
use serde_json::{Map, Value, json};
use service_kit::openapi::{Operation, header};

/// The headers of an answer that is of one position.
const PLACE: [(&str, &str); 4] = [
    ("ETag", "Names this state of the answer, for If-None-Match."),
    ("Bookstock-Position", "How far the views were: the position of the last event folded in."),
    ("Bookstock-Age-Ms", "How many milliseconds ago the database said that this is how things are."),
    ("Bookstock-Stale", "true, if the database is out and this is from memory."),
];

/// That of a list.
const PARKED: (&str, &str) = (
    "Bookstock-Parked",
    "How many books are shown as before an event that could not be applied, if any are.",
);

/// A question: what every one takes with it, and may answer.
fn question(
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    asked: &[Field],
) -> Operation {
    Operation::new(id, summary, description)
        .takes(asked.iter().map(Field::parameter))
        .takes([header(
            "If-None-Match",
            "The ETag of the answer that the client has.",
            &json!({"type": "string", "example": "\"3.1\""}),
        )])
        .answers_nothing(304, "The client has this answer already.")
        .fails([&INVALID_PARAMETER, &PROJECTION_BEHIND, &READ_MODEL_UNAVAILABLE])
}

/// The question for one row of a view.
pub(super) fn one<V: Shown>(id: &'static str, summary: &'static str) -> Operation {
    question(id, summary, "As it is, or with asOf as it was.", &profile::OF_ONE)
        .answers(200, "The book.", hal::MEDIA_TYPE, &reference(V::ROW), &example::<V>(), &PLACE)
        .fails([&BOOK_UNKNOWN, &STREAM_PARKED])
}

/// The question for the list of a view.
pub(super) fn list<V: Shown>(id: &'static str, summary: &'static str) -> Operation {
    let description = "By pages, or along its next links from cursor= on; all of it as CSV or NDJSON.";
    in_every_form::<V>(question(id, summary, description, &profile::OF_LISTS))
}

/// The question for the history of a book.
pub(super) fn history<V: Written>(id: &'static str, summary: &'static str) -> Operation {
    let description = "Each movement and the book after it, by parts; all of it as CSV or NDJSON.";
    in_every_form::<V>(question(id, summary, description, &profile::OF_HISTORY))
        .fails([&BOOK_UNKNOWN, &STREAM_PARKED])
}

/// The question for what changes in a view.
pub(super) fn changes(id: &'static str, summary: &'static str) -> Operation {
    let position = json!({"type": "integer", "minimum": 0, "maximum": u64::MAX});
    let [_, reached, age, stale] = PLACE;
    let description = "Server-sent events without an end: changes, reset, dropped. The id of each is a position. The headers say how things \
         are when it begins.";
    Operation::new(id, summary, description)
        .takes([
            service_kit::openapi::parameter(
                "since",
                "The position to go on from; now, if nothing is said.",
                &position,
            ),
            header("Last-Event-ID", "The same, as browsers send it when they come back.", &position),
        ])
        .answers(
            200,
            "What changes, as it changes.",
            "text/event-stream",
            &json!({"type": "string"}),
            &json!("id: 2\nevent: changes\ndata: {\"position\":\"2\",\"generation\":1,\"books\":[]}\n\n"),
            &[reached, age, stale],
        )
        .fails([&INVALID_PARAMETER, &READ_MODEL_UNAVAILABLE])
}

fn in_every_form<V: Written>(operation: Operation) -> Operation {
    let page = json!({
        "type": "object",
        "description": "A part of a walk has a size only: the whole is not counted.",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 1_000},
            "totalElements": {"type": "integer", "minimum": 0},
            "totalPages": {"type": "integer", "minimum": 0},
            "number": {"type": "integer", "minimum": 0},
        },
    });
    let rows = object(&[V::LIST], &json!({V::LIST: {"type": "array", "items": reference(V::ROW)}}));
    let required = ["_embedded", "_links", "page"];
    let schema = object(&required, &json!({"_embedded": rows, "_links": links(), "page": page}));
    let list = json!({"href": format!("http://localhost:8088/{}", V::LIST)});
    let example = json!({
        "_embedded": {V::LIST: [example::<V>()]}, "_links": {"self": list},
        "page": {"size": 20, "totalElements": 1, "totalPages": 1, "number": 0},
    });
    let [etag, position, age, stale] = PLACE;
    let headers = [etag, position, age, stale, PARKED];
    let text = json!({"type": "string"});
    operation
        .answers(200, "The rows, of one position.", hal::MEDIA_TYPE, &schema, &example, &headers)
        .answers_also(200, Media::CSV, &text)
        .answers_also(200, Media::NDJSON, &text)
}

/// The schema of a row.
pub(super) fn row<V: Written>() -> Value {
    let mut properties: Map<_, _> =
        V::FIELDS.iter().map(|field| (field.name.to_owned(), field.property())).collect();
    let mut required: Vec<_> = V::FIELDS.iter().map(|field| field.name).collect();
    if V::LINKED {
        properties.insert("_links".to_owned(), links());
        required.push("_links");
    }
    object(&required, &properties.into())
}

fn example<V: Written>() -> Value {
    let value = |field: &Field| (field.name.to_owned(), field.property()["example"].take());
    let mut row: Map<_, _> = V::FIELDS.iter().map(value).collect();
    if V::LINKED {
        let href = format!("http://localhost:8088/{}/1", V::LIST);
        row.insert("_links".to_owned(), json!({"self": {"href": href}}));
    }
    row.into()
}

fn links() -> Value {
    let link = object(&["href"], &json!({"href": {"type": "string"}}));
    json!({"type": "object", "additionalProperties": link})
}

/// An object with these fields and no others.
pub(super) fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}

/// A reference to a named schema.
fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
