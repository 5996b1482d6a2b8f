//! 관리자 목록: `GET /admins` and `GET /admins/{bookId}`.

use super::asked::Sortable;
use super::field::{Field, Kind};
use super::hal::LinksOfRow;
use super::profile;
use super::rows::Written;
use super::shown::Shown;
use axum::response::Response;
use read_model::admin_list::{self, Row};
use read_model::{At, BookId, Column, ListRequest, Page, Reader, ReaderError, Rows};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use service_kit::Origin;

/// The view as it is shown.
pub(super) struct Admins;

impl Shown for Admins {
    const PATH: &'static str = "/admins";
    const PROFILE: &'static str = "/profile/admins";
    const SORTABLE: &'static Sortable = &[
        ("bookId", Column::BookId),
        ("bookName", Column::Name),
        ("bookStock", Column::Stock),
        ("bookVersion", Column::Version),
        ("position", Column::Position),
    ];

    async fn one(reader: &Reader, book: BookId) -> Result<At<Option<Row>>, ReaderError> {
        admin_list::by_id(reader, book).await
    }

    async fn list(reader: &Reader, request: &ListRequest) -> Result<At<Page<Row>>, ReaderError> {
        admin_list::list(reader, request).await
    }

    async fn whole(reader: &Reader, request: &ListRequest) -> Result<At<Rows<Row>>, ReaderError> {
        admin_list::whole(reader, request).await
    }

    fn revision(row: &Row) -> u64 {
        row.revision
    }
}

impl Written for Admins {
    type Row = Row;

    const ROW: &'static str = "Admin";
    const LIST: &'static str = "admins";
    const FIELDS: &'static [Field] = &[
        Field::new("bookId", "Which book.", Kind::BookId),
        Field::new("bookName", "What it is called; null if nobody ever said.", Kind::Text),
        Field::new("bookStock", "The copies in stock.", Kind::Stock),
        Field::new("bookVersion", "The current edition, an exact decimal.", Kind::Version),
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
        Admin { row, origin }
    }

    fn values(row: &Row) -> Vec<String> {
        vec![
            row.book_id.to_string(),
            row.book_name.clone().map(String::from).unwrap_or_default(),
            row.book_stock.to_string(),
            row.book_version.to_string(),
            row.revision.to_string(),
            row.position.to_string(),
            row.occurred_at.to_string(),
        ]
    }
}

pub(super) async fn profile() -> Response {
    profile::alps("admin", "admins", Admins::FIELDS, &profile::OF_LISTS)
}

/// A row of the list on the wire.
struct Admin<'a> {
    row: &'a Row,
    origin: Option<&'a Origin>,
}

impl Serialize for Admin<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { row, origin } = self;
        let mut admin = serializer.serialize_struct("Admin", 8)?;
        if let Some(origin) = origin {
            let href = origin.href(format_args!("/admins/{}", row.book_id));
            admin.serialize_field("_links", &LinksOfRow { kind: "admin", href: &href })?;
        }
        admin.serialize_field("bookId", &row.book_id)?;
        admin.serialize_field("bookName", &row.book_name)?;
        admin.serialize_field("bookStock", &row.book_stock)?;
        admin.serialize_field("bookVersion", &row.book_version)?;
        admin.serialize_field("revision", &row.revision)?;
        admin.serialize_field("position", &format_args!("{}", row.position))?;
        admin.serialize_field("occurredAt", &row.occurred_at)?;
        admin.end()
    }
}
