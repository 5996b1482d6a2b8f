//! 도서 재고: name, edition and stock of each book.

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
pub struct BookStock;

/// One book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which book.
    pub book_id: BookId,
    /// What it is called, if that was ever said.
    pub name: Option<BookName>,
    /// The current edition.
    pub version: Edition,
    /// The copies in stock.
    pub stock: Stock,
    /// The revision of the last event folded in.
    pub revision: u64,
    /// The position of that event.
    pub position: u64,
    /// When that event happened.
    pub occurred_at: Timestamp,
}

/// The book, if it is known.
///
/// # Errors
/// [`ReaderError`].
pub async fn by_id(reader: &Reader, book: BookId) -> Result<At<Option<Row>>, ReaderError> {
    reader.by_id::<BookStock>(book).await
}

/// A part of the list.
///
/// # Errors
/// [`ReaderError`].
pub async fn list(reader: &Reader, request: &ListRequest) -> Result<At<Page<Row>>, ReaderError> {
    reader.list::<BookStock>(request).await
}

/// All of the list, whatever place and size are asked for.
///
/// # Errors
/// [`ReaderError`].
pub async fn whole(reader: &Reader, request: &ListRequest) -> Result<At<Rows<Row>>, ReaderError> {
    reader.whole::<BookStock>(request).await
}

impl View for BookStock {
    type Row = Row;

    const NAME: &'static str = "book_stock";

    // Names are compared by code points, whatever the database's locale is.
    const TABLE: &'static str = "
        book_id bigint PRIMARY KEY,
        name text COLLATE \"C\",
        search text COLLATE \"C\" NOT NULL,
        version numeric(9,2) NOT NULL,
        stock bigint NOT NULL CHECK (stock >= 0),
        revision bigint NOT NULL,
        position bigint NOT NULL,
        occurred_at timestamptz NOT NULL";

    // A book without a name comes after all others.
    const SORTS: &'static [&'static str] = &[
        "coalesce(name, U&'\\+10FFFF'), book_id",
        "version, book_id",
        "stock, book_id",
        "position, book_id",
    ];

    const SELECT: &'static str =
        "v.book_id, v.name, (v.version * 100)::int4, v.stock, v.revision, v.position, v.occurred_at";

    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("book_id", "int8"),
        ("name", "text"),
        ("search", "text"),
        ("version", "numeric"),
        ("stock", "int8"),
        ("revision", "int8"),
        ("position", "int8"),
        ("occurred_at", "timestamptz"),
    ];

    fn fold(before: Option<Row>, happening: &Happening) -> Option<Row> {
        let is_known = before.is_some();
        let (name_before, version_before, stock_before) =
            before.map_or((None, Edition::FIRST, 0), |row| (row.name, row.version, row.stock));
        let (name, version, stock) = match &happening.event {
            BookEvent::Warehoused(event) => (
                event.name.clone().or(name_before),
                event.version,
                stock_before.saturating_add(event.qty.get()),
            ),
            BookEvent::Renewed(event) => (name_before, event.version, event.stock),
            BookEvent::Corrected(event) => {
                (name_before, version_before, stock_before.saturating_add_signed(event.qty_delta.get()))
            }
            BookEvent::Skipped(_) if is_known => (name_before, version_before, stock_before),
            BookEvent::Skipped(_) => return None,
        };
        Some(Row {
            book_id: happening.book_id,
            name,
            version,
            stock,
            revision: happening.revision,
            position: happening.position,
            occurred_at: happening.event.occurred_at(),
        })
    }

    fn read(row: &tokio_postgres::Row) -> Result<Row, Unreadable> {
        Ok(Row {
            book_id: value::read_book_id(row, 0)?,
            name: value::read_name(row, 1)?,
            version: value::read_edition(row, 2)?,
            stock: value::read_stock(row, 3)?,
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
            Cell::text(row.name.as_ref().map(BookName::as_str)),
            Cell::Text(search::key(row.name.as_ref()).into()),
            Cell::Hundredths(value::hundredths(row.version)),
            Cell::Bigint(i64::from(row.stock)),
            Cell::Bigint(value::bigint(row.revision)),
            Cell::Bigint(value::bigint(row.position)),
            Cell::Moment(value::moment(row.occurred_at)),
        ]
    }
}

impl Listed for BookStock {
    const NAMES: &'static str = "name";
    const VERSIONS: &'static str = "version";
    const STOCKS: &'static str = "stock";

    fn facts(row: &Row) -> Facts<'_> {
        Facts {
            book_id: row.book_id,
            name: row.name.as_ref(),
            version: row.version,
            stock: row.stock,
            position: row.position,
            occurred_at: row.occurred_at,
        }
    }

    fn shelf(snapshot: &Snapshot) -> &Shelf<Self> {
        &snapshot.books
    }

    fn hot(hot: &Hot) -> &HotRows<Row> {
        &hot.books
    }
}
