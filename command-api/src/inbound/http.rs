//! Commands over HTTP. This file only lists: one file a family of routes.

mod answer;
mod batch;
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
use tokio::sync::Semaphore;

/// What the routes work with.
pub(crate) struct Desk {
    /// The books.
    pub(crate) transact: Transact<Kurrent, Book>,
    /// What a new book is called if nobody says.
    pub(crate) default_name: Option<BookName>,
    /// The lists that may be booked at once.
    lists: Arc<Semaphore>,
}

impl Desk {
    /// Commands for the books of `transact`.
    pub(crate) fn new(transact: Transact<Kurrent, Book>, default_name: Option<BookName>) -> Self {
        Self { transact, default_name, lists: Arc::new(Semaphore::new(batch::LISTS_AT_ONCE)) }
    }
}

/// All routes for commands.
pub(crate) fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/books/{bookId}/warehousings", post(warehouse::post))
        .route("/books/{bookId}/renewals", post(renew::post))
        .route("/books/{bookId}/corrections", post(correct::post))
        .route("/warehousings", post(batch::post))
        .route("/libraries", post(libraries::post))
        .route("/libraries/{bookId}", get(libraries::get))
        .with_state(Arc::new(desk))
}

/// The time that a command comes with.
fn now() -> Timestamp {
    Timestamp::from_unix_micros(clock::unix_micros()).unwrap_or_default()
}
