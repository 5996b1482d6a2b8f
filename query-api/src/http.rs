//! Queries over HTTP. This file only lists: one file a view, and what all of them share.

mod admin_list;
mod as_of;
mod asked;
mod book_stock;
mod changes;
mod consistency;
mod cursor;
mod describe;
mod etag;
mod field;
mod hal;
mod history;
mod inquiry;
mod kept;
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
use book_stock::Books;
use history::Movements;
use read_model::Reader;
use rows::Written as _;
use service_kit::{Api, Routes};
use state::Common;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// All routes for queries. Those who follow what changes are let go at `shutdown`.
pub(crate) fn routes(reader: Reader, shutdown: CancellationToken) -> Routes {
    Api::default()
        .schema(Books::ROW, describe::row::<Books>())
        .schema(Movements::ROW, describe::row::<Movements>())
        .schema(Admins::ROW, describe::row::<Admins>())
        .get("/books", shown::list::<Books>, describe::list::<Books>("listBooks", "도서 재고: the books"))
        .get(
            "/books/changes",
            changes::changes::<Books>,
            describe::changes("followBooks", "What changes in the books"),
        )
        .get("/books/{bookId}", shown::one::<Books>, describe::one::<Books>("getBook", "도서 재고: a book"))
        .get(
            "/books/{bookId}/history",
            history::history,
            describe::history::<Movements>("getHistory", "도서 이력: every movement of a book"),
        )
        .get(
            "/profile/books",
            book_stock::profile,
            profile::operation("describeBooks", "What a book's fields mean"),
        )
        .get(
            "/profile/history",
            history::profile,
            profile::operation("describeHistory", "What a movement's fields mean"),
        )
        .get(
            "/admins",
            shown::list::<Admins>,
            describe::list::<Admins>("listAdmins", "관리자 목록: the admin list"),
        )
        .get(
            "/admins/changes",
            changes::changes::<Admins>,
            describe::changes("followAdmins", "What changes in the admin list"),
        )
        .get(
            "/admins/{bookId}",
            shown::one::<Admins>,
            describe::one::<Admins>("getAdmin", "관리자 목록: a row of it"),
        )
        .get(
            "/profile/admins",
            admin_list::profile,
            profile::operation("describeAdmins", "What the admin list's fields mean"),
        )
        .get("/status", status::status, status::operation())
        .with_state(Arc::new(Common::new(reader, shutdown)))
}
