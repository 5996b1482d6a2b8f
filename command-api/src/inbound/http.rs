//! Commands over HTTP. This file only lists: one file a family of routes.

mod answer;
mod batch;
mod correct;
mod describe;
mod fields;
mod libraries;
mod path;
mod renew;
mod wanted;
mod warehouse;

use super::book_now::BookNow;
use super::desk::{Desk, LISTS_AT_ONCE, now};
use super::{explain, headers, problem};
use service_kit::{Api, Routes};
use std::sync::Arc;

/// All routes for commands.
pub(crate) fn routes(desk: Arc<Desk>) -> Routes {
    Api::default()
        .schema(describe::BOOK, describe::book())
        .schema(describe::LIBRARY, describe::library())
        .schema(describe::ROW_RESULT, batch::row_result())
        .post("/books/{bookId}/warehousings", warehouse::post, warehouse::operation())
        .post("/books/{bookId}/renewals", renew::post, renew::operation())
        .post("/books/{bookId}/corrections", correct::post, correct::operation())
        .post("/warehousings", batch::post, batch::operation())
        .post("/libraries", libraries::post, libraries::posting())
        .get("/libraries/{bookId}", libraries::get, libraries::getting())
        .with_state(desk)
}
