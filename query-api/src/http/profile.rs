//! What the documents mean, for programs: an ALPS profile of each view, where its lists link to.

use super::describe;
use super::field::{Field, Kind};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use service_kit::openapi::Operation;

const MEDIA_TYPE: &str = "application/alps+json";

const AS_FRESH_AS: [Field; 2] = [
    Field::new(
        "minPosition",
        "The position that the answer must have reached, from the answer to a command.",
        Kind::Number,
    ),
    Field::new("wait", "How many milliseconds to wait for that position, at most 10000.", Kind::Wait),
];

/// The parameters of one row.
pub(super) const OF_ONE: [Field; 3] = [
    Field::new("asOf", "A position or an RFC 3339 time: the book as it was then.", Kind::Moment),
    AS_FRESH_AS[0],
    AS_FRESH_AS[1],
];

/// The parameters of every list.
pub(super) const OF_LISTS: [Field; 12] = [
    Field::new(
        "q",
        "A part of the name, or a bookId; case and spaces do not count, and initial consonants (초성) do.",
        Kind::Words,
    ),
    Field::new("minStock", "How many copies there are at least.", Kind::Number),
    Field::new("maxStock", "How many copies there are at most.", Kind::Number),
    Field::new("version", "Which edition.", Kind::VersionAsked),
    Field::new(
        "changedSince",
        "A position that the last change came after, or an RFC 3339 time that it did not come before.",
        Kind::Moment,
    ),
    Field::new("page", "Which page, from 0.", Kind::Number),
    Field::new("size", "How many rows are on a page, 1 to 1000.", Kind::Size),
    Field::new(
        "sort",
        "A field to sort by, with ,asc or ,desc after it; may be given again for the next field.",
        Kind::Sort,
    ),
    Field::new(
        "cursor",
        "Where to go on, from the link next; empty for the beginning. For long lists, instead of page.",
        Kind::Cursor,
    ),
    Field::new(
        "asOf",
        "A position or an RFC 3339 time: the books as they were then, in the order of their ids, by size and cursor.",
        Kind::Moment,
    ),
    AS_FRESH_AS[0],
    AS_FRESH_AS[1],
];

/// The parameters of a book's history.
pub(super) const OF_HISTORY: [Field; 6] = [
    Field::new(
        "order",
        "asc for the first movement first, which it is if nothing is said, or desc for the last one.",
        Kind::Order,
    ),
    Field::new("size", "How many movements are in a part, 1 to 1000.", Kind::Size),
    Field::new("cursor", "Where to go on, from the link next; empty for the beginning.", Kind::Cursor),
    Field::new("asOf", "A position or an RFC 3339 time: the movements up to then.", Kind::Moment),
    AS_FRESH_AS[0],
    AS_FRESH_AS[1],
];

/// The profile of a view whose rows are each a `row` with `fields`, and which are listed as `list` by `parameters`.
pub(super) fn alps(row: &str, list: &str, fields: &[Field], parameters: &[Field]) -> Response {
    let profile = json!({"alps": {"version": "1.0", "descriptor": [
        {"id": row, "type": "semantic", "descriptor": descriptors(fields)},
        {"id": list, "type": "safe", "rt": format!("#{row}"), "descriptor": descriptors(parameters)},
    ]}});
    // It changes with the program alone, and whoever keeps it asks each time.
    let facts = [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "no-cache")];
    (facts, profile.to_string()).into_response()
}

/// How the document tells a profile.
pub(super) fn operation(id: &'static str, summary: &'static str) -> Operation {
    let schema = describe::object(&["alps"], &json!({"alps": {"type": "object"}}));
    let example = json!({"alps": {"version": "1.0", "descriptor": []}});
    Operation::new(id, summary, "Every field and every parameter, in words, as an ALPS profile.").answers(
        200,
        "The profile.",
        MEDIA_TYPE,
        &schema,
        &example,
        &[],
    )
}

fn descriptors(described: &[Field]) -> Vec<Value> {
    let descriptor =
        |field: &Field| json!({"id": field.name, "type": "semantic", "doc": {"value": field.meaning}});
    described.iter().map(descriptor).collect()
}
