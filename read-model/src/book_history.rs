//! 도서 이력: every movement of each book. What a book was at a time or a position is read from here.

use crate::desk::{Question, found};
use crate::reader::{At, Reader, ReaderError};
use crate::value::{self, Unreadable};
use crate::view::{Column, Happening, Keeps, View};
use domain::Timestamp;
use domain::book::{BookEvent, BookId, BookName, Edition, Reason, Stock};
use tokio_postgres::types::{ToSql, Type};

/// The view.
#[derive(Clone, Copy, Debug)]
pub struct BookHistory;

/// One movement, and the book after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which book.
    pub book_id: BookId,
    /// What kind of movement.
    pub movement: Movement,
    /// The copies it speaks of: those that came in, the first run, or the difference. None for a skip.
    pub qty: Option<i64>,
    /// The edition after it.
    pub version: Edition,
    /// The copies in stock after it.
    pub stock: Stock,
    /// What the book is called after it, if that was ever said.
    pub name: Option<BookName>,
    /// Why, where a person had to say.
    pub reason: Option<Reason>,
    /// Who caused it, as far as its event tells: a token's subject.
    pub actor: Option<String>,
    /// What it has in common with all that followed from one request.
    pub correlation_id: Option<String>,
    /// The revision of its event.
    pub revision: u64,
    /// The position of that event.
    pub position: u64,
    /// When.
    pub occurred_at: Timestamp,
}

/// Kinds of movements: one for each kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Movement {
    /// 입고.
    Warehoused,
    /// 재판.
    Renewed,
    /// 재고 정정.
    Corrected,
    /// 건너뛰기.
    Skipped,
}

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
    /// After which book to go on; none when these are the last. There may be more of them though `rows` is short: the
    /// books that were unknown then are passed over, so many of them at a time.
    pub next: Option<BookId>,
}

/// How many books a slice looks at. Few of them may have been known at an early moment.
const LOOKED_AT: i64 = 5_000;

/// The movements of `book` before position `before` (or all), the last one first, `size` at most.
///
/// # Errors
/// [`ReaderError`].
pub async fn of_book(
    reader: &Reader,
    book: BookId,
    before: Option<u64>,
    size: u32,
) -> Result<At<Vec<Row>>, ReaderError> {
    let (book, before, size) =
        (value::bigint(book.get()), before.map_or(i64::MAX, value::bigint), i64::from(size));
    read(
        reader,
        "SELECT * FROM {table} WHERE book_id = $1 AND position < $2 ORDER BY position DESC LIMIT $3",
        "v.position DESC",
        &[(&book, Type::INT8), (&before, Type::INT8), (&size, Type::INT8)],
    )
    .await
}

/// The movements of all books after position `after`, the first one first, `size` at most.
///
/// # Errors
/// [`ReaderError`].
pub async fn since(reader: &Reader, after: u64, size: u32) -> Result<At<Vec<Row>>, ReaderError> {
    let (after, size) = (value::bigint(after), i64::from(size));
    read(
        reader,
        "SELECT * FROM {table} WHERE position > $1 ORDER BY position LIMIT $2",
        "v.position",
        &[(&after, Type::INT8), (&size, Type::INT8)],
    )
    .await
}

/// The last movement of `book` at `moment`: what the book was then. None if it was unknown.
///
/// # Errors
/// [`ReaderError`].
pub async fn as_of(reader: &Reader, book: BookId, moment: Moment) -> Result<At<Option<Row>>, ReaderError> {
    let id = value::bigint(book.get());
    let bound = moment.bound();
    let select = format!("SELECT * FROM {{table}} WHERE book_id = $1 AND {} LIMIT 1", moment.condition("$2"));
    let found =
        read(reader, &select, "v.position", &[(&id, Type::INT8), (&*bound, moment.sql_type())]).await?;
    let (at, rows) = found.split();
    Ok(at.with(rows.into_iter().next()))
}

/// What the books after `after` were at `moment`, in the order of their ids, `size` at most.
///
/// # Errors
/// [`ReaderError`].
pub async fn all_as_of(
    reader: &Reader,
    moment: Moment,
    after: Option<BookId>,
    size: u32,
) -> Result<At<Slice>, ReaderError> {
    let (after, size) = (after.map_or(0, |book| value::bigint(book.get())), i64::from(size));
    let bound = moment.bound();
    let sql = |schema: crate::generation::Schema| {
        format!(
            "WITH looked_at AS MATERIALIZED (
                SELECT book_id FROM {books} WHERE book_id > $1 ORDER BY book_id LIMIT $4
             )
             SELECT {select}, (SELECT max(book_id) FROM looked_at HAVING count(*) = $4),
                active.generation, projection.position
             FROM bookstock.active JOIN bookstock.projection USING (generation)
             LEFT JOIN (
                SELECT past.* FROM looked_at CROSS JOIN LATERAL (
                    SELECT * FROM {table} AS h WHERE h.book_id = looked_at.book_id AND {condition} LIMIT 1
                ) AS past ORDER BY past.book_id LIMIT $3
             ) AS v ON true
             ORDER BY v.book_id",
            books = schema.table(crate::book_stock::BookStock::NAME),
            table = schema.table(BookHistory::NAME),
            select = BookHistory::SELECT,
            condition = moment.condition("$2"),
        )
    };
    let parameters: [(&(dyn ToSql + Sync), Type); 4] =
        [(&after, Type::INT8), (&*bound, moment.sql_type()), (&size, Type::INT8), (&LOOKED_AT, Type::INT8)];
    let question = Question { sql: &sql, parameters: &parameters, kept: true };
    reader
        .ask(question, |answer| {
            let rows = found::<BookHistory>(answer).collect::<Result<Vec<_>, _>>()?;
            let looked_at: Option<i64> =
                answer.first().map_or(Ok(None), |row| value::read(row, row.len() - 3))?;
            let next = match rows.last() {
                Some(last) if i64::try_from(rows.len()).is_ok_and(|rows| rows >= size) => Some(last.book_id),
                _ => looked_at.map(value::book_id).transpose()?,
            };
            Ok(Slice { rows, next })
        })
        .await
}

/// The rows of `select`, a query on `{table}`, in this order.
async fn read(
    reader: &Reader,
    select: &str,
    order: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<At<Vec<Row>>, ReaderError> {
    let sql = |schema: crate::generation::Schema| {
        format!(
            "SELECT {}, active.generation, projection.position
             FROM bookstock.active JOIN bookstock.projection USING (generation)
             LEFT JOIN ({}) AS v ON true ORDER BY {order}",
            BookHistory::SELECT,
            select.replace("{table}", &schema.table(BookHistory::NAME)),
        )
    };
    let question = Question { sql: &sql, parameters, kept: true };
    reader.ask(question, |rows| found::<BookHistory>(rows).collect()).await
}

impl Moment {
    /// A condition and an order that leave what a book was then as the first row.
    fn condition(self, bound: &str) -> String {
        match self {
            Self::Position(_) => format!("position <= {bound} ORDER BY position DESC"),
            Self::Time(_) => format!("occurred_at <= {bound} ORDER BY occurred_at DESC, position DESC"),
        }
    }

    fn bound(self) -> Box<dyn ToSql + Send + Sync> {
        match self {
            Self::Position(position) => Box::new(value::bigint(position)),
            Self::Time(at) => Box::new(value::moment(at)),
        }
    }

    fn sql_type(self) -> Type {
        match self {
            Self::Position(_) => Type::INT8,
            Self::Time(_) => Type::TIMESTAMPTZ,
        }
    }
}

impl Movement {
    /// Its name, as in the event's type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Warehoused => "Warehoused",
            Self::Renewed => "Renewed",
            Self::Corrected => "Corrected",
            Self::Skipped => "Skipped",
        }
    }

    fn of(event: &BookEvent) -> Self {
        match event {
            BookEvent::Warehoused(_) => Self::Warehoused,
            BookEvent::Renewed(_) => Self::Renewed,
            BookEvent::Corrected(_) => Self::Corrected,
            BookEvent::Skipped(_) => Self::Skipped,
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Warehoused, Self::Renewed, Self::Corrected, Self::Skipped]
            .into_iter()
            .find(|one| one.name() == name)
    }
}

impl View for BookHistory {
    type Row = Row;

    const NAME: &'static str = "book_history";

    const KEEPS: Keeps = Keeps::Every;

    const TABLE: &'static str = "
        position bigint PRIMARY KEY,
        book_id bigint NOT NULL,
        movement text NOT NULL,
        qty bigint,
        version numeric(9,2) NOT NULL,
        stock bigint NOT NULL CHECK (stock >= 0),
        name text,
        reason text,
        actor text,
        correlation_id text,
        revision bigint NOT NULL,
        occurred_at timestamptz NOT NULL";

    const INDEXES: &'static [&'static str] = &["book_id, position", "book_id, occurred_at, position"];

    const SELECT: &'static str = "v.book_id, v.movement, v.qty, (v.version * 100)::int4, v.stock, v.name, v.reason, v.actor, v.correlation_id, v.revision, v.position, v.occurred_at";

    const UPSERT: &'static str = "
        INSERT INTO {table} (
            book_id, movement, qty, version, stock, name, reason, actor, correlation_id, revision, position, occurred_at
        )
        SELECT book_id, movement, qty, hundredths / 100.0, stock, name, reason, actor, correlation_id, revision,
            position, occurred_at
        FROM unnest(
            $1::int8[], $2::text[], $3::int8[], $4::int4[], $5::int8[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::int8[], $11::int8[], $12::timestamptz[]
        ) AS fresh (
            book_id, movement, qty, hundredths, stock, name, reason, actor, correlation_id, revision, position,
            occurred_at
        )";

    fn fold(before: Option<Row>, happening: &Happening) -> Option<Row> {
        let is_known = before.is_some();
        let (name_before, version_before, stock_before) =
            before.map_or((None, Edition::FIRST, 0), |row| (row.name, row.version, row.stock));
        let (qty, name, version, stock, reason) = match &happening.event {
            BookEvent::Warehoused(event) => (
                Some(i64::from(event.qty.get())),
                event.name.clone().or(name_before),
                event.version,
                stock_before.saturating_add(event.qty.get()),
                None,
            ),
            BookEvent::Renewed(event) => {
                (Some(i64::from(event.stock)), name_before, event.version, event.stock, None)
            }
            BookEvent::Corrected(event) => (
                Some(i64::from(event.qty_delta.get())),
                name_before,
                version_before,
                stock_before.saturating_add_signed(event.qty_delta.get()),
                Some(event.reason.clone()),
            ),
            BookEvent::Skipped(_) if !is_known => return None,
            BookEvent::Skipped(event) => {
                (None, name_before, version_before, stock_before, Some(event.reason.clone()))
            }
        };
        Some(Row {
            book_id: happening.book_id,
            movement: Movement::of(&happening.event),
            qty,
            version,
            stock,
            name,
            reason,
            actor: happening.provenance.actor.clone(),
            correlation_id: happening.provenance.correlation_id.clone(),
            revision: happening.revision,
            position: happening.position,
            occurred_at: happening.event.occurred_at(),
        })
    }

    fn read(row: &tokio_postgres::Row) -> Result<Row, Unreadable> {
        let movement: &str = value::read(row, 1)?;
        let movement = Movement::named(movement)
            .ok_or_else(|| Unreadable::new(format!("{movement:?} is no movement")))?;
        Ok(Row {
            book_id: value::read_book_id(row, 0)?,
            movement,
            qty: value::read(row, 2)?,
            version: value::read_edition(row, 3)?,
            stock: value::read_stock(row, 4)?,
            name: value::read_name(row, 5)?,
            reason: value::read_reason(row, 6)?,
            actor: value::read(row, 7)?,
            correlation_id: value::read(row, 8)?,
            revision: value::read_u64(row, 9)?,
            position: value::read_u64(row, 10)?,
            occurred_at: value::read_moment(row, 11)?,
        })
    }

    fn book_id(row: &Row) -> BookId {
        row.book_id
    }

    fn columns(rows: &[Row]) -> Vec<Column> {
        vec![
            Box::new(rows.iter().map(|row| value::bigint(row.book_id.get())).collect::<Vec<_>>()),
            Box::new(rows.iter().map(|row| row.movement.name()).collect::<Vec<_>>()),
            Box::new(rows.iter().map(|row| row.qty).collect::<Vec<_>>()),
            Box::new(rows.iter().map(|row| value::hundredths(row.version)).collect::<Vec<_>>()),
            Box::new(rows.iter().map(|row| i64::from(row.stock)).collect::<Vec<_>>()),
            Box::new(texts(rows, |row| row.name.as_ref().map(BookName::as_str))),
            Box::new(texts(rows, |row| row.reason.as_ref().map(Reason::as_str))),
            Box::new(texts(rows, |row| row.actor.as_deref())),
            Box::new(texts(rows, |row| row.correlation_id.as_deref())),
            Box::new(rows.iter().map(|row| value::bigint(row.revision)).collect::<Vec<_>>()),
            Box::new(rows.iter().map(|row| value::bigint(row.position)).collect::<Vec<_>>()),
            Box::new(rows.iter().map(|row| value::moment(row.occurred_at)).collect::<Vec<_>>()),
        ]
    }
}

fn texts(rows: &[Row], text: impl Fn(&Row) -> Option<&str>) -> Vec<Option<String>> {
    // PostgreSQL's text holds no NUL, which an actor or a correlation id that others wrote may.
    rows.iter().map(|row| text(row).map(|text| text.replace('\0', "\u{fffd}"))).collect()
}
