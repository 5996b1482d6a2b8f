//! 재판: `POST /books/{bookId}/renewals`.

use super::answer::{BookNow, created};
use super::fields::OptionalFields;
use super::headers::Wanted;
use super::path::BookPath;
use super::{Desk, now, problem};
use crate::intention::Intention;
use axum::extract::State;
use axum::response::Response;
use domain::book::{BookId, Edition, Renew};
use service_kit::Problem;
use std::sync::Arc;

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
    let outcome = desk.transact.run(&Renew { book_id, version, at: now() }, intention).await;
    BookNow::after(book_id, outcome.map_err(|failure| problem::of(failure, &intention.key))?)
}
