//! 도서 이력: every movement of each book. What the books were at a time or a position is read from here (`past`).

use crate::cell::Cell;
use crate::desk::{Question, STANDING, found};
use crate::generation::Schema;
use crate::list::{Key, Mark, Order, Page};
use crate::list_sql::Parameter;
use crate::past::Moment;
use crate::reader::{At, Reader, ReaderError};
use crate::value::{self, Unreadable};
use crate::view::{Happening, Keeps, View};
use crate::whole::{Rows, Whole};
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

/// Which of a book's movements, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first one first, or the last one.
    pub order: Order,
    /// Where a walk in this order is: the position of the movement seen last.
    pub after: Option<u64>,
    /// Those that had happened then; all of them if nothing is said.
    pub until: Option<Moment>,
    /// How many at most.
    pub size: u32,
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

/// Some of the movements of `book`. Where a walk goes on is told, but not how many there are.
///
/// # Errors
/// [`ReaderError`].
pub async fn of_book(reader: &Reader, book: BookId, stretch: &Stretch) -> Result<At<Page<Row>>, ReaderError> {
    // One more than asked for tells whether there is more.
    let (id, size) = (value::bigint(book.get()), i64::from(stretch.size) + 1);
    let from = stretch.from();
    let until = stretch.until.map(Moment::bound);
    let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        vec![(&id, Type::INT8), (&from, Type::INT8), (&size, Type::INT8)];
    parameters.extend(until.as_ref().map(|(bound, of)| (&**bound as _, of.clone())));
    let select = format!("{} LIMIT $3", stretch.select("$4"));
    let found = read(reader, &select, stretch.order_by(), &parameters).await?;
    let (at, mut rows) = found.split();
    let most = usize::try_from(stretch.size).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    let next =
        rows.last().filter(|_| more).map(|last| Mark { key: Key::Position(last.position), book_id: book });
    Ok(at.with(Page { rows, total: None, next }))
}

/// All movements of `book` in a stretch, whatever size it asks for.
///
/// # Errors
/// [`ReaderError`].
pub async fn whole_of_book(
    reader: &Reader,
    book: BookId,
    stretch: &Stretch,
) -> Result<At<Rows<Row>>, ReaderError> {
    let mut parameters: Vec<Parameter> =
        vec![(Box::new(value::bigint(book.get())), Type::INT8), (Box::new(stretch.from()), Type::INT8)];
    parameters.extend(stretch.until.map(Moment::bound));
    let select = stretch.select("$3");
    let sql = move |schema: Schema| {
        let (columns, table) = (BookHistory::SELECT, schema.table(BookHistory::NAME));
        format!("SELECT {columns} FROM ({}) AS v", select.replace("{table}", &table))
    };
    reader.stream::<BookHistory>(Whole { sql: Box::new(sql), parameters }).await
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

/// The rows of `select`, a query on `{table}`, in this order.
pub(crate) async fn read(
    reader: &Reader,
    select: &str,
    order: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<At<Vec<Row>>, ReaderError> {
    let sql = |schema: Schema| {
        format!(
            "SELECT {}, standing.* FROM ({STANDING}) AS standing LEFT JOIN ({}) AS v ON true ORDER BY {order}",
            BookHistory::SELECT,
            select.replace("{table}", &schema.table(BookHistory::NAME)),
        )
    };
    let question = Question { sql: &sql, parameters, kept: true };
    reader.ask(question, |rows| found::<BookHistory>(rows).collect()).await
}

impl Stretch {
    fn from(&self) -> i64 {
        match (self.after, self.order) {
            (Some(position), _) => value::bigint(position),
            (None, Order::Ascending) => 0,
            (None, Order::Descending) => i64::MAX,
        }
    }

    fn order_by(&self) -> &'static str {
        match self.order {
            Order::Ascending => "v.position",
            Order::Descending => "v.position DESC",
        }
    }

    /// The query on `{table}`: `$1` is the book, `$2` where to begin, `until` the bound.
    fn select(&self, until: &str) -> String {
        let after = if self.order == Order::Ascending { ">" } else { "<" };
        let until = match self.until {
            None => String::new(),
            // By position in both cases, so that one index leads there, however early that was.
            Some(moment) => format!(
                " AND position <= (SELECT position FROM {{table}} WHERE book_id = $1 AND {} LIMIT 1)",
                moment.condition(until)
            ),
        };
        let order = self.order_by();
        format!(
            "SELECT * FROM {{table}} AS v WHERE book_id = $1 AND position {after} $2{until} ORDER BY {order}"
        )
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

    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("book_id", "int8"),
        ("movement", "text"),
        ("qty", "int8"),
        ("version", "numeric"),
        ("stock", "int8"),
        ("name", "text"),
        ("reason", "text"),
        ("actor", "text"),
        ("correlation_id", "text"),
        ("revision", "int8"),
        ("position", "int8"),
        ("occurred_at", "timestamptz"),
    ];

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

    fn cells(row: &Row) -> Vec<Cell<'_>> {
        vec![
            Cell::Bigint(value::bigint(row.book_id.get())),
            Cell::Text(row.movement.name().into()),
            row.qty.map_or(Cell::Null, Cell::Bigint),
            Cell::Hundredths(value::hundredths(row.version)),
            Cell::Bigint(i64::from(row.stock)),
            Cell::text(row.name.as_ref().map(BookName::as_str)),
            Cell::text(row.reason.as_ref().map(Reason::as_str)),
            Cell::text(row.actor.as_deref()),
            Cell::text(row.correlation_id.as_deref()),
            Cell::Bigint(value::bigint(row.revision)),
            Cell::Bigint(value::bigint(row.position)),
            Cell::Moment(value::moment(row.occurred_at)),
        ]
    }
}
