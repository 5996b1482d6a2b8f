//! Commands over HTTP. This file only lists: one file a family of routes.

mod answer;
mod correct;
mod explain;
mod fields;
mod headers;
mod libraries;
mod path;
mod problem;
mod renew;
mod warehouse;

use crate::transact::Transact;
use axum::Router;
use axum::routing::{get, post};
use domain::Timestamp;
use domain::book::{Book, BookName};
use event_store::Kurrent;
use service_kit::clock;
use std::sync::Arc;

/// What the routes work with.
pub(crate) struct Desk {
    /// The books.
    pub(crate) transact: Transact<Kurrent, Book>,
    /// What a new book is called if nobody says.
    pub(crate) default_name: Option<BookName>,
}

/// All routes for commands.
pub(crate) fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/books/{bookId}/warehousings", post(warehouse::post))
        .route("/books/{bookId}/renewals", post(renew::post))
        .route("/books/{bookId}/corrections", post(correct::post))
        .route("/libraries", post(libraries::post))
        .route("/libraries/{bookId}", get(libraries::get))
        .with_state(Arc::new(desk))
}

/// The time that a command comes with.
fn now() -> Timestamp {
    Timestamp::from_unix_micros(clock::unix_micros()).unwrap_or_default()
}
