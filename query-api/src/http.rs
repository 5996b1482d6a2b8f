//! Queries over HTTP. This file only lists: one file a view, and what all of them share.

mod admin_list;
mod as_of;
mod asked;
mod book_stock;
mod changes;
mod consistency;
mod cursor;
mod etag;
mod hal;
mod history;
mod inquiry;
mod media;
mod paging;
mod parameters;
mod path;
mod profile;
mod rows;
mod shown;
mod state;
mod status;

use admin_list::Admins;
use axum::Router;
use axum::routing::get;
use book_stock::Books;
use read_model::Reader;
use state::Shared;
use tokio_util::sync::CancellationToken;

/// All routes for queries. Those who follow what changes are let go at `shutdown`.
pub(crate) fn routes(reader: Reader, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/books", get(shown::list::<Books>))
        .route("/books/changes", get(changes::changes::<Books>))
        .route("/books/{bookId}", get(shown::one::<Books>))
        .route("/books/{bookId}/history", get(history::history))
        .route("/profile/books", get(book_stock::profile))
        .route("/profile/history", get(history::profile))
        .route("/admins", get(shown::list::<Admins>))
        .route("/admins/changes", get(changes::changes::<Admins>))
        .route("/admins/{bookId}", get(shown::one::<Admins>))
        .route("/profile/admins", get(admin_list::profile))
        .route("/status", get(status::status))
        .with_state(Shared::new(reader, shutdown))
}
