//! Commands over HTTP. This file only lists: one file a family of routes.

mod answer;
mod batch;
mod correct;
mod describe;
mod explain;
mod fields;
mod headers;
mod libraries;
mod path;
mod problem;
mod renew;
mod warehouse;

use crate::sick::Guarded;
use crate::transact::Transact;
use domain::Timestamp;
use domain::book::{Book, BookName};
use event_store::Kurrent;
use service_kit::{Api, Routes, clock};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the routes work with.
pub(crate) struct Desk {
    /// The books.
    pub(crate) transact: Transact<Guarded<Kurrent>, Book>,
    /// What a new book is called if nobody says.
    pub(crate) default_name: Option<BookName>,
    /// The lists that may be booked at once.
    lists: Arc<Semaphore>,
}

impl Desk {
    /// Commands for the books of `transact`.
    pub(crate) fn new(transact: Transact<Guarded<Kurrent>, Book>, default_name: Option<BookName>) -> Self {
        Self { transact, default_name, lists: Arc::new(Semaphore::new(batch::LISTS_AT_ONCE)) }
    }
}

/// All routes for commands.
pub(crate) fn routes(desk: Desk) -> Routes {
    Api::default()
        .schema(describe::BOOK, describe::book())
        .schema(describe::LIBRARY, describe::library())
        .post("/books/{bookId}/warehousings", warehouse::post, warehouse::operation())
        .post("/books/{bookId}/renewals", renew::post, renew::operation())
        .post("/books/{bookId}/corrections", correct::post, correct::operation())
        .post("/warehousings", batch::post, batch::operation())
        .post("/libraries", libraries::post, libraries::posting())
        .get("/libraries/{bookId}", libraries::get, libraries::getting())
        .with_state(Arc::new(desk))
}

/// The time that a command comes with.
fn now() -> Timestamp {
    Timestamp::from_unix_micros(clock::unix_micros()).unwrap_or_default()
}
