//! What the documents mean, for programs: an ALPS profile of each view, where its lists link to.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

/// The parameters of every list.
pub(super) const OF_LISTS: [(&str, &str); 12] = [
    ("q", "A part of the name, or a bookId; case and spaces do not count, and initial consonants (초성) do."),
    ("minStock", "How many copies there are at least."),
    ("maxStock", "How many copies there are at most."),
    ("version", "Which edition."),
    ("changedSince", "A position or an RFC 3339 time that the last change came after."),
    ("page", "Which page, from 0."),
    ("size", "How many rows are on a page, 1 to 1000."),
    ("sort", "A field to sort by, with ,asc or ,desc after it; may be given again for the next field."),
    (
        "cursor",
        "Where to go on, from the link next; empty for the beginning. For long lists, instead of page.",
    ),
    ("asOf", "A position or an RFC 3339 time: the books as they were then, in the order of their ids."),
    ("minPosition", "The position that the answer must have reached, from the answer to a command."),
    ("wait", "How many milliseconds to wait for that position, at most 10000."),
];

/// The parameters of a book's history.
pub(super) const OF_HISTORY: [(&str, &str); 6] = [
    ("order", "asc for the first movement first, which it is if nothing is said, or desc for the last one."),
    ("size", "How many movements are in a part, 1 to 1000."),
    ("cursor", "Where to go on, from the link next; empty for the beginning."),
    ("asOf", "A position or an RFC 3339 time: the movements up to then."),
    ("minPosition", "The position that the answer must have reached, from the answer to a command."),
    ("wait", "How many milliseconds to wait for that position, at most 10000."),
];

/// The profile of a view whose rows are each a `row` with `fields`, and which are listed as `list` by `parameters`.
pub(super) fn alps(row: &str, list: &str, fields: &[(&str, &str)], parameters: &[(&str, &str)]) -> Response {
    let profile = json!({"alps": {"version": "1.0", "descriptor": [
        {"id": row, "type": "semantic", "descriptor": descriptors(fields)},
        {"id": list, "type": "safe", "rt": format!("#{row}"), "descriptor": descriptors(parameters)},
    ]}});
    ([(header::CONTENT_TYPE, "application/alps+json")], profile.to_string()).into_response()
}

fn descriptors(described: &[(&str, &str)]) -> Vec<Value> {
    let descriptor =
        |(id, meaning): &(&str, &str)| json!({"id": id, "type": "semantic", "doc": {"value": meaning}});
    described.iter().map(descriptor).collect()
}
