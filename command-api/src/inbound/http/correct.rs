//! 재고 정정: `POST /books/{bookId}/corrections`.

use super::answer::created;
use super::describe;
use super::fields::Fields;
use super::path::BookPath;
use super::problem::{STOCK_BELOW_ZERO, STOCK_LIMIT, missing};
use super::wanted::Wanted;
use super::{Desk, now};
use crate::intention::Intention;
use axum::extract::State;
use axum::response::Response;
use domain::book::{Correct, MAX_REASON_CHARS};
use serde_json::json;
use service_kit::Problem;
use service_kit::openapi::Operation;
use std::sync::Arc;

/// How the document tells it.
pub(super) fn operation() -> Operation {
    let fields = json!({
        "qtyDelta": describe::qty_delta(),
        "reason": {"type": "string", "minLength": 1, "maxLength": MAX_REASON_CHARS, "pattern": "\\S", "description": "Why the stock was wrong."},
    });
    let command = describe::command(
        "correct",
        "재고 정정: the stock is put right",
        "For copies that were miscounted, lost or withdrawn. Never below zero.",
    )
    .body(
        true,
        &describe::object(&["qtyDelta", "reason"], &fields),
        &json!({"qtyDelta": -2, "reason": "lost"}),
    )
    .fails([&STOCK_BELOW_ZERO, &STOCK_LIMIT]);
    describe::created(command, describe::BOOK, &describe::book_example())
}

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
    let command = Correct { book_id, qty_delta, reason, at: now() };
    let book = desk.run(book_id, command, &intention, None).await?;
    created(&book, wanted, &format!("/books/{book_id}"), &book)
}
