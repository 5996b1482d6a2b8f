//! 재고 정정: `POST /books/{bookId}/corrections`.

use super::answer::{BookNow, created};
use super::fields::{Fields, missing};
use super::headers::Wanted;
use super::path::BookPath;
use super::{Desk, now, problem};
use crate::intention::Intention;
use axum::extract::State;
use axum::response::Response;
use domain::book::Correct;
use service_kit::Problem;
use std::sync::Arc;

pub(super) async fn post(
    State(desk): State<Arc<Desk>>,
    BookPath(book_id): BookPath,
    wanted: Wanted,
    intention: Intention,
    fields: Fields,
) -> Result<Response, Problem> {
    let fields = fields.only(&["qtyDelta", "reason"])?;
    let qty_delta = fields.number("qtyDelta")?.ok_or_else(|| missing("qtyDelta"))?;
    let reason = fields.text("reason")?.ok_or_else(|| missing("reason"))?;
    let outcome = desk.transact.run(&Correct { book_id, qty_delta, reason, at: now() }, &intention).await;
    let book = BookNow::after(book_id, outcome.map_err(|failure| problem::of(failure, &intention.key))?)?;
    created(&book, wanted, &format!("/books/{book_id}"), &book)
}
