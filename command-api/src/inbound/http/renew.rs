//! 재판: `POST /books/{bookId}/renewals`.

use super::answer::created;
use super::describe;
use super::fields::OptionalFields;
use super::path::BookPath;
use super::problem::{EDITION_NOT_GREATER, NO_LATER_EDITION};
use super::wanted::Wanted;
use super::{BookNow, Desk, now};
use crate::intention::Intention;
use axum::extract::State;
use axum::response::Response;
use domain::book::{BookId, Edition, Renew};
use serde_json::json;
use service_kit::Problem;
use service_kit::openapi::Operation;
use std::sync::Arc;

/// How the document tells it.
pub(super) fn operation() -> Operation {
    let fields = json!({"version": describe::optional(describe::version())});
    let command = describe::command(
        "renew",
        "재판: a new edition with a first run of 100 copies",
        "The stock becomes 100. Without a version the next whole number is taken.",
    )
    .body(false, &describe::object(&[], &fields), &json!({"version": 2.0}))
    .fails([&EDITION_NOT_GREATER, &NO_LATER_EDITION]);
    describe::created(command, describe::BOOK, &describe::book_example())
}

pub(super) async fn post(
    State(desk): State<Arc<Desk>>,
    BookPath(book_id): BookPath,
    wanted: Wanted,
    intention: Intention,
    OptionalFields(fields): OptionalFields,
) -> Result<Response, Problem> {
    let fields = fields.only(&["version"])?;
    let book = run(&desk, book_id, fields.number("version")?, &intention).await?;
    created(&book, wanted, &format!("/books/{book_id}"), &book)
}

/// Renews the book.
pub(super) async fn run(
    desk: &Desk,
    book_id: BookId,
    version: Option<Edition>,
    intention: &Intention,
) -> Result<BookNow, Problem> {
    desk.run(book_id, Renew { book_id, version, at: now() }, intention, None).await
}
