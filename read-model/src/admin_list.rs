//! 관리자 목록: name, stock and edition of each book, as the administrators' list shows them.

use crate::cell::Cell;
use crate::hot::{Hot, HotRows};
use crate::list::{Facts, ListRequest, Listed, Page};
use crate::memory::{Shelf, Snapshot};
use crate::reader::{At, Reader, ReaderError};
use crate::search;
use crate::value::{self, Unreadable};
use crate::view::{Happening, View};
use crate::whole::Rows;
use domain::Timestamp;
use domain::book::{BookEvent, BookId, BookName, Edition, Stock};

/// The view.
#[derive(Clone, Copy, Debug)]
pub struct AdminList;

/// One book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which book.
    pub book_id: BookId,
    /// What it is called, if that was ever said.
    pub book_name: Option<BookName>,
    /// The copies in stock.
    pub book_stock: Stock,
    /// The current edition.
    pub book_version: Edition,
    /// The revision of the last event folded in.
    pub revision: u64,
    /// The position of that event.
    pub position: u64,
    /// When that event happened.
    pub occurred_at: Timestamp,
}

/// The book's entry, if the book is known.
///
/// # Errors
/// [`ReaderError`].
pub async fn by_id(reader: &Reader, book: BookId) -> Result<At<Option<Row>>, ReaderError> {
    reader.by_id::<AdminList>(book).await
}

/// A part of the list.
///
/// # Errors
/// [`ReaderError`].
pub async fn list(reader: &Reader, request: &ListRequest) -> Result<At<Page<Row>>, ReaderError> {
    reader.list::<AdminList>(request).await
}

/// All of the list, whatever place and size are asked for.
///
/// # Errors
/// [`ReaderError`].
pub async fn whole(reader: &Reader, request: &ListRequest) -> Result<At<Rows<Row>>, ReaderError> {
    reader.whole::<AdminList>(request).await
}

impl View for AdminList {
    type Row = Row;

    const NAME: &'static str = "admin_list";

    const TABLE: &'static str = "
        book_id bigint PRIMARY KEY,
        book_name text COLLATE \"C\",
        search text COLLATE \"C\" NOT NULL,
        book_stock bigint NOT NULL CHECK (book_stock >= 0),
        book_version numeric(9,2) NOT NULL,
        revision bigint NOT NULL,
        position bigint NOT NULL,
        occurred_at timestamptz NOT NULL";

    const SORTS: &'static [&'static str] = &[
        "coalesce(book_name, U&'\\+10FFFF'), book_id",
        "book_version, book_id",
        "book_stock, book_id",
        "position, book_id",
    ];

    const SELECT: &'static str = "v.book_id, v.book_name, v.book_stock, (v.book_version * 100)::int4, v.revision, v.position, v.occurred_at";

    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("book_id", "int8"),
        ("book_name", "text"),
        ("search", "text"),
        ("book_stock", "int8"),
        ("book_version", "numeric"),
        ("revision", "int8"),
        ("position", "int8"),
        ("occurred_at", "timestamptz"),
    ];

    fn fold(before: Option<Row>, happening: &Happening) -> Option<Row> {
        let is_known = before.is_some();
        let (name_before, stock_before, version_before) =
            before.map_or((None, 0, Edition::FIRST), |row| (row.book_name, row.book_stock, row.book_version));
        let (book_name, book_stock, book_version) = match &happening.event {
            BookEvent::Warehoused(event) => (
                event.name.clone().or(name_before),
                stock_before.saturating_add(event.qty.get()),
                event.version,
            ),
            BookEvent::Renewed(event) => (name_before, event.stock, event.version),
            BookEvent::Corrected(event) => {
                (name_before, stock_before.saturating_add_signed(event.qty_delta.get()), version_before)
            }
            BookEvent::Skipped(_) if is_known => (name_before, stock_before, version_before),
            BookEvent::Skipped(_) => return None,
        };
        Some(Row {
            book_id: happening.book_id,
            book_name,
            book_stock,
            book_version,
            revision: happening.revision,
            position: happening.position,
            occurred_at: happening.event.occurred_at(),
        })
    }

    fn read(row: &tokio_postgres::Row) -> Result<Row, Unreadable> {
        Ok(Row {
            book_id: value::read_book_id(row, 0)?,
            book_name: value::read_name(row, 1)?,
            book_stock: value::read_stock(row, 2)?,
            book_version: value::read_edition(row, 3)?,
            revision: value::read_u64(row, 4)?,
            position: value::read_u64(row, 5)?,
            occurred_at: value::read_moment(row, 6)?,
        })
    }

    fn book_id(row: &Row) -> BookId {
        row.book_id
    }

    fn cells(row: &Row) -> Vec<Cell<'_>> {
        vec![
            Cell::Bigint(value::bigint(row.book_id.get())),
            Cell::text(row.book_name.as_ref().map(BookName::as_str)),
            Cell::Text(search::key(row.book_name.as_ref()).into()),
            Cell::Bigint(i64::from(row.book_stock)),
            Cell::Hundredths(value::hundredths(row.book_version)),
            Cell::Bigint(value::bigint(row.revision)),
            Cell::Bigint(value::bigint(row.position)),
            Cell::Moment(value::moment(row.occurred_at)),
        ]
    }
}

impl Listed for AdminList {
    const NAMES: &'static str = "book_name";
    const VERSIONS: &'static str = "book_version";
    const STOCKS: &'static str = "book_stock";

    fn facts(row: &Row) -> Facts<'_> {
        Facts {
            book_id: row.book_id,
            name: row.book_name.as_ref(),
            version: row.book_version,
            stock: row.book_stock,
            position: row.position,
            occurred_at: row.occurred_at,
        }
    }

    fn shelf(snapshot: &Snapshot) -> &Shelf<Self> {
        &snapshot.admins
    }

    fn hot(hot: &Hot) -> &HotRows<Row> {
        &hot.admins
    }
}
