//! 도서 재고: `GET /books` and `GET /books/{bookId}`.

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
use read_model::book_stock::{self, Row, SortBy};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use service_kit::{Origin, Problem};

const SORTABLE: &Sortable<SortBy> = &[
    ("bookId", SortBy::BookId),
    ("name", SortBy::Name),
    ("stock", SortBy::Stock),
    ("version", SortBy::Version),
];

pub(super) async fn one(
    State(reader): State<Reader>,
    book: BookPath,
    mut inquiry: Inquiry,
) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut inquiry.parameters)?;
    inquiry.parameters.refuse_others()?;
    let book_id = book.id()?;
    let found = freshness.read(&reader, || book_stock::by_id(&reader, book_id)).await?;
    let row = found.value.as_ref().ok_or_else(|| problem::no_book_yet(&book, found.position))?;
    let etag = ETag::of_row(row.revision, found.generation);
    inquiry.answer(&found, &etag, &Book { row, origin: &inquiry.origin })
}

pub(super) async fn list(State(reader): State<Reader>, mut inquiry: Inquiry) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut inquiry.parameters)?;
    let request = paging::page_request(&mut inquiry.parameters, SORTABLE)?;
    inquiry.parameters.refuse_others()?;
    let found = freshness.read(&reader, || book_stock::page(&reader, &request)).await?;
    let Inquiry { origin, parameters, .. } = &inquiry;
    let etag = ETag::of_list(&format!("/books{}", parameters.query()), found.generation, found.position);
    let numbers = PageNumbers::new(&request, found.value.total);
    let mut links = numbers.links(origin, "/books", parameters);
    links.add("profile", origin.href("/profile/books"));
    let rows = found.value.rows.iter().map(|row| Book { row, origin }).collect();
    inquiry.answer(&found, &etag, &Collection::new("books", rows, links, numbers))
}

pub(super) async fn profile() -> Response {
    profile::alps(
        "book",
        "books",
        &[
            ("bookId", "Which book."),
            ("name", "What it is called; null if nobody ever said."),
            ("stock", "The copies in stock."),
            ("version", "The current edition, an exact decimal."),
            ("revision", "The number of its last event in its own history, from 0."),
            ("position", "The place of that event among those of all books; later is larger."),
            ("occurredAt", "When that event happened, in UTC."),
        ],
    )
}

/// A book on the wire.
struct Book<'a> {
    row: &'a Row,
    origin: &'a Origin,
}

impl Serialize for Book<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { row, origin } = self;
        let mut book = serializer.serialize_struct("Book", 8)?;
        let href = origin.href(&format!("/books/{}", row.book_id));
        book.serialize_field("_links", &Links::of_row("book", href))?;
        book.serialize_field("bookId", &row.book_id)?;
        book.serialize_field("name", &row.name)?;
        book.serialize_field("stock", &row.stock)?;
        book.serialize_field("version", &row.version)?;
        book.serialize_field("revision", &row.revision)?;
        book.serialize_field("position", &row.position.to_string())?;
        book.serialize_field("occurredAt", &row.occurred_at)?;
        book.end()
    }
}
