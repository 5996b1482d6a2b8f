//! The past: what the books were at a moment, each as its last movement before that left it.

use crate::book_history::{self, BookHistory, Row};
use crate::book_stock::BookStock;
use crate::desk::{Question, STANDING, found};
use crate::generation::Schema;
use crate::list_sql::Parameter;
use crate::reader::{At, Reader, ReaderError};
use crate::value;
use crate::view::View as _;
use crate::whole::{Rows, Whole};
use crate::{admin_list, book_stock};
use domain::Timestamp;
use domain::book::BookId;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::types::{ToSql, Type};

/// A moment of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// With every event up to this position.
    Position(u64),
    /// With every event that happened until then.
    Time(Timestamp),
}

/// Some of the books, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The last movement of each.
    pub rows: Vec<Row>,
    /// After which book to go on; none when these are the last. There may be more of them though `rows` is short:
    /// books that were unknown then are passed over, and not for ever.
    pub next: Option<BookId>,
}

/// How many books are looked at in one query. Few of them may have been known at an early moment.
const LOOKED_AT: i64 = 5_000;

/// How long books that were unknown then are passed over for the sake of a full slice.
const LOOKING: Duration = Duration::from_millis(500);

/// The last movement of `book` at `moment`: what the book was then. None if it was unknown.
///
/// # Errors
/// [`ReaderError`].
pub async fn book(reader: &Reader, book: BookId, moment: Moment) -> Result<At<Option<Row>>, ReaderError> {
    let id = value::bigint(book.get());
    let (bound, of) = moment.bound();
    let select = format!("SELECT * FROM {{table}} WHERE book_id = $1 AND {} LIMIT 1", moment.condition("$2"));
    let found =
        book_history::read(reader, &select, "v.position", &[(&id, Type::INT8), (&*bound, of)]).await?;
    let (at, rows) = found.split();
    Ok(at.with(rows.into_iter().next()))
}

/// What the books after `after` were at `moment`, in the order of their ids, `size` at most.
///
/// # Errors
/// [`ReaderError`].
pub async fn books(
    reader: &Reader,
    moment: Moment,
    after: Option<BookId>,
    size: u32,
) -> Result<At<Slice>, ReaderError> {
    let deadline = Instant::now() + LOOKING;
    let (first, mut slice) = look(reader, moment, after, size, None).await?.split();
    while let Some(after) = slice.next {
        let left = size.saturating_sub(u32::try_from(slice.rows.len()).unwrap_or(u32::MAX));
        if left == 0 || Instant::now() >= deadline {
            break;
        }
        let (at, more) = look(reader, moment, Some(after), left, Some(first.position)).await?.split();
        let same_tables = (at.generation, at.refolds) == (first.generation, first.refolds);
        if !same_tables || at.position < first.position {
            // These are not of the first look's state, and whoever goes on sees them.
            break;
        }
        slice.rows.extend(more.rows);
        slice.next = more.next;
    }
    Ok(first.with(slice))
}

/// What all books were at `moment`, in the order of their ids.
///
/// # Errors
/// [`ReaderError`].
pub async fn all(reader: &Reader, moment: Moment) -> Result<At<Rows<Row>>, ReaderError> {
    let sql = move |schema: Schema| {
        let (select, lateral) = (BookHistory::SELECT, moment.lateral(&schema, "b", "$1", "true"));
        let books = schema.table(BookStock::NAME);
        format!("SELECT {select} FROM {books} AS b CROSS JOIN LATERAL ({lateral}) AS v ORDER BY b.book_id")
    };
    let parameters: Vec<Parameter> = vec![moment.bound()];
    reader.stream::<BookHistory>(Whole { sql: Box::new(sql), parameters }).await
}

/// One query, by the movements up to position `until`: whatever moved since the first look is left out of the next ones.
async fn look(
    reader: &Reader,
    moment: Moment,
    after: Option<BookId>,
    size: u32,
    until: Option<u64>,
) -> Result<At<Slice>, ReaderError> {
    let (after, size) = (after.map_or(0, |book| value::bigint(book.get())), i64::from(size));
    let until = until.map_or(i64::MAX, value::bigint);
    let (bound, of) = moment.bound();
    let sql = |schema: Schema| {
        format!(
            "WITH looked_at AS MATERIALIZED (
                SELECT book_id FROM {books} WHERE book_id > $1 ORDER BY book_id LIMIT $4
             )
             SELECT {select}, (SELECT max(book_id) FROM looked_at HAVING count(*) = $4), standing.*
             FROM ({STANDING}) AS standing
             LEFT JOIN (
                SELECT past.* FROM looked_at CROSS JOIN LATERAL ({lateral}) AS past ORDER BY past.book_id LIMIT $3
             ) AS v ON true
             ORDER BY v.book_id",
            books = schema.table(BookStock::NAME),
            lateral = moment.lateral(&schema, "looked_at", "$2", "h.position <= $5"),
            select = BookHistory::SELECT,
        )
    };
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&after, Type::INT8),
        (&*bound, of),
        (&size, Type::INT8),
        (&LOOKED_AT, Type::INT8),
        (&until, Type::INT8),
    ];
    let question = Question { sql: &sql, parameters: &parameters, kept: true };
    reader
        .ask(question, |answer| {
            let rows = found::<BookHistory>(answer).collect::<Result<Vec<_>, _>>()?;
            let looked_at: Option<i64> =
                answer.first().map_or(Ok(None), |row| value::read(row, row.len() - 4))?;
            let next = match rows.last() {
                Some(last) if i64::try_from(rows.len()).is_ok_and(|rows| rows >= size) => Some(last.book_id),
                _ => looked_at.map(value::book_id).transpose()?,
            };
            Ok(Slice { rows, next })
        })
        .await
}

impl Moment {
    /// A condition and an order that leave what a book was then as the first row.
    pub(crate) fn condition(self, bound: &str) -> String {
        match self {
            Self::Position(_) => format!("position <= {bound} ORDER BY position DESC"),
            Self::Time(_) => format!("occurred_at <= {bound} ORDER BY occurred_at DESC, position DESC"),
        }
    }

    /// What each of `books` was then, by the movements of its that are `among` these.
    fn lateral(self, schema: &Schema, books: &str, bound: &str, among: &str) -> String {
        let (table, condition) = (schema.table(BookHistory::NAME), self.condition(bound));
        format!(
            "SELECT * FROM {table} AS h WHERE h.book_id = {books}.book_id AND {among} AND {condition} LIMIT 1"
        )
    }

    pub(crate) fn bound(self) -> Parameter {
        match self {
            Self::Position(position) => (Box::new(value::bigint(position)), Type::INT8),
            Self::Time(at) => (Box::new(value::moment(at)), Type::TIMESTAMPTZ),
        }
    }
}

/// A book as a movement left it.
impl From<Row> for book_stock::Row {
    fn from(row: Row) -> Self {
        let Row { book_id, name, version, stock, revision, position, occurred_at, .. } = row;
        Self { book_id, name, version, stock, revision, position, occurred_at }
    }
}

/// The same for the administrators' list.
impl From<Row> for admin_list::Row {
    fn from(row: Row) -> Self {
        let Row { book_id, name, version, stock, revision, position, occurred_at, .. } = row;
        Self {
            book_id,
            book_name: name,
            book_stock: stock,
            book_version: version,
            revision,
            position,
            occurred_at,
        }
    }
}
