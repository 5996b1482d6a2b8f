//! Queries over HTTP. This file only lists: one file a view, and what all of them share.

mod admin_list;
mod book_stock;
mod consistency;
mod etag;
mod hal;
mod inquiry;
mod paging;
mod parameters;
mod path;
mod profile;

use axum::Router;
use axum::routing::get;
use read_model::Reader;

/// All routes for queries.
pub(crate) fn routes(reader: Reader) -> Router {
    Router::new()
        .route("/books", get(book_stock::list))
        .route("/books/{bookId}", get(book_stock::one))
        .route("/profile/books", get(book_stock::profile))
        .route("/admins", get(admin_list::list))
        .route("/admins/{bookId}", get(admin_list::one))
        .route("/profile/admins", get(admin_list::profile))
        .with_state(reader)
}
