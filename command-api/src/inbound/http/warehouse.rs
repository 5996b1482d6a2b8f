//! 입고: `POST /books/{bookId}/warehousings`.

use super::answer::created;
use super::describe;
use super::fields::Fields;
use super::path::BookPath;
use super::problem::{EDITION_MISMATCH, STOCK_LIMIT, missing};
use super::wanted::Wanted;
use super::{BookNow, Desk, now};
use crate::intention::Intention;
use axum::extract::State;
use axum::response::Response;
use domain::book::{BookId, BookName, Edition, Quantity, Warehouse};
use serde_json::json;
use service_kit::Problem;
use service_kit::openapi::Operation;
use service_kit::problem::Kind;
use std::sync::Arc;

/// What the rule may say no with.
pub(super) static REFUSALS: [&Kind; 2] = [&EDITION_MISMATCH, &STOCK_LIMIT];

/// How the document tells it.
pub(super) fn operation() -> Operation {
    let fields = json!({"qty": describe::qty(), "version": describe::optional(describe::version()), "name": describe::name()});
    let command = describe::command(
        "warehouse",
        "입고: copies of a book come in",
        "Adds to the stock. The first time makes the book.",
    )
    .body(true, &describe::object(&["qty"], &fields), &json!({"qty": 123, "name": "해리 포터"}))
    .fails(REFUSALS);
    describe::created(command, describe::BOOK, &describe::book_example())
}

pub(super) async fn post(
    State(desk): State<Arc<Desk>>,
    BookPath(book_id): BookPath,
    wanted: Wanted,
    intention: Intention,
    fields: Fields,
) -> Result<Response, Problem> {
    let fields = fields.only(&["qty", "version", "name"])?;
    let qty = fields.number("qty")?.ok_or_else(|| missing("qty"))?;
    let book = run(&desk, book_id, qty, fields.number("version")?, fields.text("name")?, &intention).await?;
    created(&book, wanted, &format!("/books/{book_id}"), &book)
}

/// Takes the copies in.
pub(super) async fn run(
    desk: &Desk,
    book_id: BookId,
    qty: Quantity,
    version: Option<Edition>,
    name: Option<BookName>,
    intention: &Intention,
) -> Result<BookNow, Problem> {
    let default_name = desk.default_name.clone();
    let command = Warehouse { book_id, qty, version, name, default_name, at: now() };
    desk.run(book_id, command, intention, None).await
}
