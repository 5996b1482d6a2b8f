//! 입고 목록: `POST /warehousings`, a list of warehousings as a JSON array, as NDJSON or as CSV.
//!
//! A result a row, in the order of the rows, as NDJSON and while it goes. A client has to read while it sends.

mod booking;
mod framing;
mod pace;
mod problem;
mod results;
mod rows;
mod stopping;

use super::{Desk, LISTS_AT_ONCE, describe, headers, warehouse};
use crate::intention::Provenance;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use booking::{Booking, Reach};
use framing::Framing;
use results::Results;
use rows::{MAX_BYTES, Row, Rows};
use serde_json::{Value, json};
use service_kit::body::unpacked;
use service_kit::openapi::{Operation, header as taken, parameter};
use service_kit::problem::{INVALID, TYPE_PREFIX};
use service_kit::{Language, Problem};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Of so many bad rows the answer tells each; of more it tells how many.
const TOLD_AT_MOST: usize = 100;

/// How the document tells a row.
fn row() -> Value {
    let fields = json!({
        "bookId": describe::book_id(),
        "qty": describe::qty(),
        "version": describe::optional(describe::version()),
        "name": describe::name(),
        "idempotencyKey": {"description": "Names this row: sent again, in any list, it is booked once.", "oneOf": [
            {"type": "string", "pattern": "^[!#-\\[\\]-~]{1,255}$"},
            {"type": "null"},
        ]},
    });
    describe::object(&["bookId", "qty"], &fields)
}

/// How the document tells the result of a row: a line of the answer.
pub(super) fn row_result() -> Value {
    let kinds = problem::OF_LINES.iter().chain(&describe::OF_COMMANDS).chain(&warehouse::REFUSALS);
    let types: BTreeSet<_> = kinds.map(|kind| format!("{TYPE_PREFIX}{}", kind.name())).collect();
    json!({
        "type": "object",
        "description": "Of one row: the book after it, or the problem. A problem of the list as a whole comes as the last line, under the number that the next row would have had.",
        "required": ["row", "status"],
        "properties": {
            "row": {"type": "integer", "minimum": 1, "description": "The number of the row, from 1."},
            "status": {"type": "integer", "description": "201, or what the problem has."},
            "replayed": {"const": true, "description": "There if the row had been booked before, under the same key."},
            "answer": describe::reference(describe::BOOK),
            "problem": {"allOf": [
                {"$ref": "#/components/schemas/Problem"},
                {"type": "object", "properties": {"type": {"enum": types}}},
            ]},
        },
        "oneOf": [{"required": ["answer"]}, {"required": ["problem"]}],
        "additionalProperties": false,
    })
}

/// Such results, a line each.
fn results_example() -> Value {
    let booked = json!({"row": 1, "status": 201, "answer": describe::book_example()});
    let problem = json!({
        "type": format!("{TYPE_PREFIX}{}", INVALID.name()),
        "title": INVALID.title().get(Language::English),
        "status": INVALID.status().as_u16(),
        "detail": "qty: it is missing.",
        "field": "qty",
    });
    let refused = json!({"row": 2, "status": 422, "problem": problem});
    json!(format!("{booked}\n{refused}\n"))
}

/// How the document tells it.
pub(super) fn operation() -> Operation {
    let text = json!({"type": "string"});
    let results = json!({
        "type": "string",
        "contentMediaType": "application/x-ndjson",
        "contentSchema": describe::reference(describe::ROW_RESULT),
    });
    Operation::new(
        "warehouseList",
        "입고 목록: a list of warehousings in one request",
        "A result for each row, in the order of the rows, as NDJSON and while it goes. With atomic=check all rows are looked at before any is booked. An answer that breaks off says nothing of the rows that it has no result for: send them again, with their keys.",
    )
    .at_its_own_pace()
    .takes([
        parameter("atomic", "check: refuse the whole list if one row is bad.", &json!({"type": "string", "enum": ["check"]})),
        taken("Idempotency-Key", "Names this list: sent again, each row is booked once.", &describe::key(Rows::longest_key())),
    ])
    .body(true, &json!({"type": "array", "items": row()}), &json!([{"bookId": 1, "qty": 123}]))
    .body_as("application/x-ndjson", true, &text, &json!("{\"bookId\": 1, \"qty\": 123}\n"))
    .body_as("text/csv", true, &text, &json!("bookId,qty\n1,123\n"))
    .answers(
        200,
        "A result for each row, one JSON object a line: each line is a RowResult.",
        "application/x-ndjson",
        &results,
        &results_example(),
        &[("X-Request-Id", "The id of the request.")],
    )
    .fails(problem::OF_LISTS)
}

pub(super) async fn post(
    State(desk): State<Arc<Desk>>,
    Query(parameters): Query<HashMap<String, String>>,
    provenance: Provenance,
    request: Request,
) -> Result<Response, Problem> {
    let stopping = stopping::of(&request);
    let check_first = atomic_check(&parameters)?;
    let language = Language::of(request.headers());
    let (framing, key) = (framing(request.headers())?, key(request.headers())?);
    let place =
        Arc::clone(&desk.lists).try_acquire_owned().map_err(|_| problem::too_many_lists(LISTS_AT_ONCE))?;
    let mut rows = Rows::new(request.into_body(), framing, key, place);
    let mut reach = Reach::AsTheyCome;
    if check_first {
        let Some(checked) = stopping.run_until_cancelled(rows.check(&desk, language)).await else {
            rows.read_over().await;
            return Err(problem::list_not_tried());
        };
        reach = Reach::Known(checked?);
    }
    let (results, body) = Results::open();
    let booking = Booking::new(desk, Arc::new(provenance), language, reach, results);
    tokio::spawn(booking.run(rows, stopping));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

fn atomic_check(parameters: &HashMap<String, String>) -> Result<bool, Problem> {
    match parameters.iter().next() {
        None => Ok(false),
        Some((name, value)) if name == "atomic" && value == "check" && parameters.len() == 1 => Ok(true),
        Some(_) => Err(problem::malformed(
            "The only parameter here is atomic=check.",
            "쓸 수 있는 매개변수는 atomic=check 뿐입니다.",
        )),
    }
}

fn framing(headers: &HeaderMap) -> Result<Framing, Problem> {
    unpacked(headers)?;
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BYTES) {
        return Err(problem::too_large(MAX_BYTES));
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.and_then(Framing::of).ok_or_else(problem::no_list)
}

fn key(headers: &HeaderMap) -> Result<Option<crate::identity::Key>, Problem> {
    if headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_NONE_MATCH) {
        return Err(problem::malformed(
            "If-Match and If-None-Match are for commands for one book.",
            "If-Match 와 If-None-Match 는 도서 하나에 대한 커맨드에만 씁니다.",
        ));
    }
    let key = headers::key(headers)?;
    if key.as_ref().is_some_and(|key| key.as_str().len() > Rows::longest_key()) {
        return Err(problem::malformed(
            "The Idempotency-Key is too long: a row's number has to fit behind it.",
            "Idempotency-Key 가 너무 깁니다. 그 뒤에 줄 번호가 들어가야 합니다.",
        ));
    }
    Ok(key)
}

impl Rows {
    /// Reads all of the list, and refuses it as a whole if a row is bad. Answers how many rows each book has.
    async fn check(
        &mut self,
        desk: &Desk,
        language: Language,
    ) -> Result<HashMap<domain::book::BookId, u64>, Problem> {
        let (mut checked, mut rows_of) = (Vec::new(), HashMap::new());
        let (mut bad, mut bad_rows) = (Vec::new(), 0);
        loop {
            while let Some(Row { number, read }) = self.ready(desk) {
                match read {
                    Ok(_) if bad_rows > 0 => {}
                    Ok(ready) => {
                        *rows_of.entry(ready.book_id).or_default() += 1;
                        checked.push(Row { number, read: Ok(ready) });
                    }
                    Err(problem) => {
                        // None will be booked: what is told is all that is kept, however long the list is.
                        (checked, rows_of) = Default::default();
                        bad_rows += 1;
                        if bad.len() < TOLD_AT_MOST {
                            bad.push((number, problem));
                        }
                    }
                }
            }
            if self.is_over() {
                break;
            }
            self.more().await;
        }
        if let Some((_, problem)) = self.problem() {
            self.drain().await;
            return Err(problem);
        }
        if bad_rows > 0 {
            return Err(refused(bad_rows, &bad, language));
        }
        self.restart(checked);
        Ok(rows_of)
    }
}

/// 422: so many rows of a list are bad, and so none was booked. `told` are the first of them.
fn refused(bad_rows: u64, told: &[(u64, Problem)], language: Language) -> Problem {
    let rows: Vec<Value> = told
        .iter()
        .map(|(row, problem)| json!({"row": row, "problem": problem.document(language)}))
        .collect();
    problem::rows_refused().with("badRows", bad_rows).with("rows", rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_tells_of_every_field_that_a_row_may_have() {
        let row = row();
        let told = row["properties"].as_object().unwrap();
        for field in rows::FIELDS {
            assert!(told.contains_key(field), "{field} is not in {told:?}");
        }
        assert_eq!(told.len(), rows::FIELDS.len());
    }
}
