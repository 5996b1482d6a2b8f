//! 관리자 목록: `GET /admins` and `GET /admins/{bookId}`.

use super::consistency::Freshness;
use super::etag::ETag;
use super::hal::{Collection, Links};
use super::inquiry::Inquiry;
use super::paging::{self, PageNumbers, Sortable};
use super::path::BookPath;
use super::profile;
use crate::problem;
use axum::extract::State;
use axum::response::Response;
use read_model::Reader;
use read_model::admin_list::{self, Row, SortBy};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use service_kit::{Origin, Problem};

const SORTABLE: &Sortable<SortBy> =
    &[("bookId", SortBy::BookId), ("bookStock", SortBy::BookStock), ("bookVersion", SortBy::BookVersion)];

pub(super) async fn one(
    State(reader): State<Reader>,
    book: BookPath,
    mut inquiry: Inquiry,
) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut inquiry.parameters)?;
    inquiry.parameters.refuse_others()?;
    let book_id = book.id()?;
    let found = freshness.read(&reader, || admin_list::by_id(&reader, book_id)).await?;
    let row = found.value.as_ref().ok_or_else(|| problem::no_book_yet(&book, found.position))?;
    let etag = ETag::of_row(row.revision, found.generation);
    inquiry.answer(&found, &etag, &Admin { row, origin: &inquiry.origin })
}

pub(super) async fn list(State(reader): State<Reader>, mut inquiry: Inquiry) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut inquiry.parameters)?;
    let request = paging::page_request(&mut inquiry.parameters, SORTABLE)?;
    inquiry.parameters.refuse_others()?;
    let found = freshness.read(&reader, || admin_list::page(&reader, &request)).await?;
    let Inquiry { origin, parameters, .. } = &inquiry;
    let etag = ETag::of_list(&format!("/admins{}", parameters.query()), found.generation, found.position);
    let numbers = PageNumbers::new(&request, found.value.total);
    let mut links = numbers.links(origin, "/admins", parameters);
    links.add("profile", origin.href("/profile/admins"));
    let rows = found.value.rows.iter().map(|row| Admin { row, origin }).collect();
    inquiry.answer(&found, &etag, &Collection::new("admins", rows, links, numbers))
}

pub(super) async fn profile() -> Response {
    profile::alps(
        "admin",
        "admins",
        &[
            ("bookId", "Which book."),
            ("bookName", "What it is called; null if nobody ever said."),
            ("bookStock", "The copies in stock."),
            ("bookVersion", "The current edition, an exact decimal."),
            ("revision", "The number of its last event in its own history, from 0."),
            ("position", "The place of that event among those of all books; later is larger."),
            ("occurredAt", "When that event happened, in UTC."),
        ],
    )
}

/// A row of the list on the wire.
struct Admin<'a> {
    row: &'a Row,
    origin: &'a Origin,
}

impl Serialize for Admin<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { row, origin } = self;
        let mut admin = serializer.serialize_struct("Admin", 8)?;
        let href = origin.href(&format!("/admins/{}", row.book_id));
        admin.serialize_field("_links", &Links::of_row("admin", href))?;
        admin.serialize_field("bookId", &row.book_id)?;
        admin.serialize_field("bookName", &row.book_name)?;
        admin.serialize_field("bookStock", &row.book_stock)?;
        admin.serialize_field("bookVersion", &row.book_version)?;
        admin.serialize_field("revision", &row.revision)?;
        admin.serialize_field("position", &row.position.to_string())?;
        admin.serialize_field("occurredAt", &row.occurred_at)?;
        admin.end()
    }
}
