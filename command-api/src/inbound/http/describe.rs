//! What the operations of the command side have in common in the OpenAPI document.

use super::fields::MAX_NUMBER_LENGTH;
use super::problem::{
    BOOK_CONTENDED, BOOK_DELETED, BOOK_UNKNOWN, KEY_REUSED, OUTCOME_UNKNOWN, REVISION_MISMATCH,
    STORE_UNAVAILABLE, STREAM_UNREADABLE,
};
use crate::identity::MAX_KEY_LENGTH;
use serde_json::{Value, json};
use service_kit::openapi::{Operation, header};
use service_kit::problem::Kind;

/// A book as a command left it.
pub(super) const BOOK: &str = "Book";

/// What came of one row of a list.
pub(super) const ROW_RESULT: &str = "RowResult";

/// The original system's view of a command.
pub(super) const LIBRARY: &str = "Library";

/// What `If-Match` and `If-None-Match` take.
const TAG: &str = "^(\\*|\"[0-9]{1,19}(\\.[0-9]{1,19})?\")$";

/// What every command may be answered with, be it alone or the row of a list.
pub(super) static OF_COMMANDS: [&Kind; 6] =
    [&KEY_REUSED, &BOOK_DELETED, &BOOK_CONTENDED, &OUTCOME_UNKNOWN, &STREAM_UNREADABLE, &STORE_UNAVAILABLE];

/// A command: what every one takes with it, and may answer.
pub(super) fn command(id: &'static str, summary: &'static str, description: &'static str) -> Operation {
    Operation::new(id, summary, description)
        .takes([
            header(
                "Idempotency-Key",
                "Names this intention: sent again, it is booked once and answered as the first time.",
                &key(MAX_KEY_LENGTH),
            ),
            header(
                "If-Match",
                "Only if the book is at this revision (its ETag), or exists at all (*).",
                &json!({"type": "string", "pattern": TAG, "example": "\"3\""}),
            ),
            header(
                "If-None-Match",
                "Only if the book is not at this revision, or does not exist (*).",
                &json!({"type": "string", "pattern": TAG, "example": "*"}),
            ),
            header(
                "Prefer",
                "return=minimal leaves the body of the answer out. Any other preference is passed over.",
                &json!({"type": "string", "example": "return=representation"}),
            ),
            header(
                "X-Request-Id",
                "The id of this request in logs, events and the answer; made unless there is one of 1 to 128 visible characters.",
                &json!({"type": "string", "example": "request-9"}),
            ),
            header(
                "traceparent",
                "The W3C trace context, carried on into the event.",
                &json!({"type": "string"}),
            ),
        ])
        .fails([&BOOK_UNKNOWN, &REVISION_MISMATCH])
        .fails(OF_COMMANDS)
}

/// An idempotency key in a header, as a word or as the same word in quotes, of so many characters at most.
pub(super) fn key(longest: usize) -> Value {
    let word = format!("[!#-\\[\\]-~]{{1,{longest}}}");
    json!({"type": "string", "pattern": format!("^({word}|\"{word}\")$"), "example": "delivery-7"})
}

/// The headers of an answer that tells a book.
pub(super) const PLACE: [(&str, &str); 3] = [
    ("ETag", "The revision of the book's last event, for If-Match."),
    ("Bookstock-Position", "The position of the command in the store, for minPosition of a query."),
    ("X-Request-Id", "The id of the request."),
];

/// The answer to a command: `201 Created`.
pub(super) fn created(operation: Operation, schema: &str, example: &Value) -> Operation {
    let headers = [
        PLACE[0],
        PLACE[1],
        PLACE[2],
        ("Location", "Where the book is."),
        ("Idempotency-Replayed", "true, if this is known to be the first answer again."),
    ];
    operation.answers(
        201,
        "The event is on disk, once.",
        "application/json",
        &reference(schema),
        example,
        &headers,
    )
}

/// A reference to a named schema.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object with these fields and no others.
pub(super) fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}

/// How many copies come in, as a number or as its text.
pub(super) fn qty() -> Value {
    json!({"description": "How many copies.", "oneOf": [
        {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        {"type": "string", "pattern": "^0*([1-9][0-9]{0,5}|10{6})$", "maxLength": MAX_NUMBER_LENGTH},
    ]})
}

/// How many copies more or fewer there are, as a number or as its text.
pub(super) fn qty_delta() -> Value {
    json!({"description": "How many copies more or fewer there are.", "oneOf": [
        {"type": "integer", "minimum": -1_000_000_000, "maximum": 1_000_000_000, "not": {"const": 0}},
        {"type": "string", "pattern": "^-?0*([1-9][0-9]{0,8}|10{9})$", "maxLength": MAX_NUMBER_LENGTH},
    ]})
}

/// A value that may be left out, or null.
pub(super) fn optional(mut schema: Value) -> Value {
    if let Some(forms) = schema["oneOf"].as_array_mut() {
        forms.push(json!({"type": "null"}));
    }
    schema
}

/// An edition, as a number or as its text.
pub(super) fn version() -> Value {
    json!({"description": "The edition, an exact decimal with at most two places.", "oneOf": [
        {"type": "number", "minimum": 0.01, "maximum": 1_000_000},
        {"type": "string", "pattern": "^0*(0\\.(0[1-9]|[1-9][0-9]?)0*|[1-9][0-9]{0,5}(\\.[0-9]{1,2}0*)?|1000000(\\.0+)?)$", "maxLength": MAX_NUMBER_LENGTH},
    ]})
}

/// What a book is called.
pub(super) fn name() -> Value {
    json!({"description": "What the book is called from now on.", "oneOf": [
        {"type": "string", "minLength": 1, "maxLength": 500, "pattern": "\\S"},
        {"type": "null"},
    ]})
}

/// Which book, as a number or as its text.
pub(super) fn book_id() -> Value {
    json!({"description": "Which book, from 1 to 9007199254740991.", "oneOf": [
        {"type": "integer", "minimum": 1, "maximum": 9_007_199_254_740_991_u64},
        {"type": "string", "pattern": "^0*[1-9][0-9]{0,15}$", "maxLength": MAX_NUMBER_LENGTH},
    ]})
}

fn book_properties() -> Value {
    json!({
        "bookId": {"type": "integer", "minimum": 1, "maximum": 9_007_199_254_740_991_u64},
        "name": {"type": ["string", "null"]},
        "version": {"type": "number", "minimum": 0.01, "maximum": 1_000_000},
        "stock": {"type": "integer", "minimum": 0, "maximum": 1_000_000_000},
        "revision": {"type": "integer", "minimum": 0, "description": "The number of the book's last event, from 0."},
        "position": {"type": "string", "pattern": "^[0-9]+$", "description": "An opaque token for minPosition."},
    })
}

const BOOK_FIELDS: [&str; 6] = ["bookId", "name", "version", "stock", "revision", "position"];

/// A book as a command left it.
pub(super) fn book() -> Value {
    json!({"type": "object", "required": BOOK_FIELDS, "properties": book_properties()})
}

/// The original's view, with our fields.
pub(super) fn library() -> Value {
    let link = json!({"type": "object", "required": ["href"], "properties": {"href": {"type": "string"}}});
    let mut properties = book_properties();
    properties["qty"] =
        json!({"type": ["integer", "null"], "description": "What came in; null for a renewal."});
    properties["_links"] = json!({"type": "object", "required": ["library", "self"], "properties": {"library": link, "self": link}});
    let required = [&BOOK_FIELDS[..], &["qty", "_links"]].concat();
    json!({"type": "object", "required": required, "properties": properties})
}

/// Such a book.
pub(super) fn book_example() -> Value {
    json!({"bookId": 1, "name": "해리 포터", "version": 1.0, "stock": 130, "revision": 1, "position": "2"})
}

/// Such a view.
pub(super) fn library_example() -> Value {
    let link = json!({"href": "http://localhost:8088/libraries/1"});
    let mut example = book_example();
    example["qty"] = json!(123);
    example["_links"] = json!({"library": link, "self": link});
    example
}

#[cfg(test)]
mod tests {
    use super::super::explain::Explain;
    use super::super::fields::Fields;
    use super::super::headers;
    use super::*;
    use axum::http::{HeaderMap, HeaderValue, header};
    use domain::book::{BookId, Edition, QtyDelta, Quantity};
    use regex::Regex;
    use std::str::FromStr;

    fn pattern(schema: &Value) -> Regex {
        schema["pattern"].as_str().map(Regex::new).unwrap().unwrap()
    }

    /// Whether this text is taken for such a number.
    fn is_taken<T: FromStr<Err: Explain>>(text: &str) -> bool {
        let cells = [("number", text.to_owned())];
        Fields::of_cells(cells.into_iter()).number::<T>("number").is_ok_and(|number| number.is_some())
    }

    const WHOLE_NUMBERS: [&str; 26] = [
        "",
        "0",
        "00",
        "-0",
        "1",
        "+1",
        "-1",
        "+-1",
        "007",
        "+007",
        "-007",
        "1.0",
        "1e2",
        " 1",
        "1 ",
        "999999",
        "1000000",
        "0001000000",
        "1000001",
        "999999999",
        "1000000000",
        "-1000000000",
        "1000000001",
        "9007199254740991",
        "009007199254740991",
        "10000000000000000",
    ];

    #[test]
    fn the_pattern_of_a_whole_number_is_what_is_taken_for_one() {
        let (of_qty, of_delta) = (pattern(&qty()["oneOf"][1]), pattern(&qty_delta()["oneOf"][1]));
        let of_book = pattern(&book_id()["oneOf"][1]);
        for text in WHOLE_NUMBERS {
            assert_eq!(of_qty.is_match(text), is_taken::<Quantity>(text), "qty {text}");
            assert_eq!(of_delta.is_match(text), is_taken::<QtyDelta>(text), "qtyDelta {text}");
            assert_eq!(of_book.is_match(text), is_taken::<BookId>(text), "bookId {text}");
        }
        // A pattern up to the last book would be one that nobody reads; the words say where they end.
        assert!(of_book.is_match("9007199254740992") && !is_taken::<BookId>("9007199254740992"));
    }

    #[test]
    fn the_pattern_of_a_header_is_what_is_taken_in_it() {
        let (of_key, of_tag) = (pattern(&key(MAX_KEY_LENGTH)), Regex::new(TAG).unwrap());
        let quoted = |text: String| format!("\"{text}\"");
        for text in [
            "k".to_owned(),
            "delivery-7:[1]".to_owned(),
            "k".repeat(MAX_KEY_LENGTH),
            "k".repeat(MAX_KEY_LENGTH + 1),
            quoted("k1".to_owned()),
            quoted("k".repeat(MAX_KEY_LENGTH)),
            quoted("k".repeat(MAX_KEY_LENGTH + 1)),
            quoted(String::new()),
            quoted("a b".to_owned()),
            "\"k".to_owned(),
            "a\\b".to_owned(),
            "\"".to_owned(),
            "*".to_owned(),
            "3".to_owned(),
            quoted("0".to_owned()),
            quoted("3.1".to_owned()),
            quoted("3.".to_owned()),
            quoted("-3".to_owned()),
            quoted("9".repeat(19)),
            quoted("9".repeat(20)),
            quoted(format!("1.{}", "9".repeat(19))),
            quoted(format!("1.{}", "9".repeat(20))),
        ] {
            let value = HeaderValue::from_str(&text).unwrap();
            let taken = |name| HeaderMap::from_iter([(name, value.clone())]);
            let key = headers::key(&taken(headers::IDEMPOTENCY_KEY));
            assert_eq!(of_key.is_match(&text), key.is_ok(), "Idempotency-Key {text}");
            let tag = headers::preconditions(&taken(header::IF_MATCH));
            assert_eq!(of_tag.is_match(&text), tag.is_ok(), "If-Match {text}");
        }
    }

    #[test]
    fn the_pattern_of_a_version_is_what_is_taken_for_one() {
        let pattern = pattern(&version()["oneOf"][1]);
        for text in [
            "0",
            "0.0",
            "0.00",
            "0.001",
            "0.01",
            "0.010",
            "0.5",
            "0.50",
            "0.05",
            "1",
            "01",
            "1.0",
            "1.25",
            "1.2500",
            "1.234",
            "999999.99",
            "1000000",
            "1000000.00",
            "1000000.01",
            "1000001",
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e2",
        ] {
            assert_eq!(pattern.is_match(text), is_taken::<Edition>(text), "{text}");
        }
    }
}
