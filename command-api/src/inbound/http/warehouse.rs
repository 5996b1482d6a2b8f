//! 입고: `POST /books/{bookId}/warehousings`.

use super::answer::{BookNow, created};
use super::fields::{Fields, missing};
use super::headers::Wanted;
use super::path::BookPath;
use super::{Desk, now, problem};
use crate::intention::Intention;
use axum::extract::State;
use axum::response::Response;
use domain::book::{BookId, BookName, Edition, Quantity, Warehouse};
use service_kit::Problem;
use std::sync::Arc;

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
    let outcome = desk.transact.run(&command, intention).await;
    BookNow::after(book_id, outcome.map_err(|failure| problem::of(failure, &intention.key))?)
}
