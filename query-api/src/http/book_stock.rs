//! 도서 재고: `GET /books` and `GET /books/{bookId}`.

use super::asked::Sortable;
use super::field::{Field, Kind};
use super::hal::LinksOfRow;
use super::profile;
use super::rows::Written;
use super::shown::Shown;
use axum::response::Response;
use read_model::book_stock::{self, Row};
use read_model::{At, BookId, Column, ListRequest, Page, Reader, ReaderError, Rows};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use service_kit::Origin;

/// The view as it is shown.
pub(super) struct Books;

impl Shown for Books {
    const PATH: &'static str = "/books";
    const PROFILE: &'static str = "/profile/books";
    const SORTABLE: &'static Sortable = &[
        ("bookId", Column::BookId),
        ("name", Column::Name),
        ("stock", Column::Stock),
        ("version", Column::Version),
        ("position", Column::Position),
    ];

    async fn one(reader: &Reader, book: BookId) -> Result<At<Option<Row>>, ReaderError> {
        book_stock::by_id(reader, book).await
    }

    async fn list(reader: &Reader, request: &ListRequest) -> Result<At<Page<Row>>, ReaderError> {
        book_stock::list(reader, request).await
    }

    async fn whole(reader: &Reader, request: &ListRequest) -> Result<At<Rows<Row>>, ReaderError> {
        book_stock::whole(reader, request).await
    }

    fn revision(row: &Row) -> u64 {
        row.revision
    }
}

impl Written for Books {
    type Row = Row;

    const ROW: &'static str = "BookStock";
    const LIST: &'static str = "books";
    const FIELDS: &'static [Field] = &[
        Field::new("bookId", "Which book.", Kind::BookId),
        Field::new("name", "What it is called; null if nobody ever said.", Kind::Text),
        Field::new("stock", "The copies in stock.", Kind::Stock),
        Field::new("version", "The current edition, an exact decimal.", Kind::Version),
        Field::new("revision", "The number of its last event in its own history, from 0.", Kind::Revision),
        Field::new(
            "position",
            "The place of that event among those of all books; later is larger.",
            Kind::Position,
        ),
        Field::new("occurredAt", "When that event happened, in UTC.", Kind::Time),
    ];
    const LINKED: bool = true;

    fn json<'a>(row: &'a Row, origin: Option<&'a Origin>) -> impl Serialize + 'a {
        Book { row, origin }
    }

    fn values(row: &Row) -> Vec<String> {
        vec![
            row.book_id.to_string(),
            row.name.clone().map(String::from).unwrap_or_default(),
            row.stock.to_string(),
            row.version.to_string(),
            row.revision.to_string(),
            row.position.to_string(),
            row.occurred_at.to_string(),
        ]
    }
}

pub(super) async fn profile() -> Response {
    profile::alps("book", "books", Books::FIELDS, &profile::OF_LISTS)
}

/// A book on the wire.
struct Book<'a> {
    row: &'a Row,
    origin: Option<&'a Origin>,
}

impl Serialize for Book<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { row, origin } = self;
        let mut book = serializer.serialize_struct("Book", 8)?;
        if let Some(origin) = origin {
            let href = origin.href(format_args!("/books/{}", row.book_id));
            book.serialize_field("_links", &LinksOfRow { kind: "book", href: &href })?;
        }
        book.serialize_field("bookId", &row.book_id)?;
        book.serialize_field("name", &row.name)?;
        book.serialize_field("stock", &row.stock)?;
        book.serialize_field("version", &row.version)?;
        book.serialize_field("revision", &row.revision)?;
        book.serialize_field("position", &format_args!("{}", row.position))?;
        book.serialize_field("occurredAt", &row.occurred_at)?;
        book.end()
    }
}
