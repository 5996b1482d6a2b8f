//! Writing the rows of the views, as the one owner of a generation does: it remembers what it wrote last.

use crate::cell::Cell;
use crate::database::DatabaseError;
use crate::generation::Schema;
use crate::value;
use crate::view::{AnyView, Happening, Keeps, View};
use deadpool_postgres::Transaction;
use domain::book::BookId;
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::{Pin, pin};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

/// How many books each view remembers, somewhat more while a batch has more.
const REMEMBERED: usize = 1 << 14;

/// What writes all views of one generation for one owner.
///
/// What it remembers of a book is believed only where the next event is the one after: that the streams go on without a
/// gap is proved by each transaction, and that nobody else wrote by the lease. It saves looking up what was written a
/// moment ago.
pub struct Writers {
    writers: Vec<Box<dyn Writer>>,
    /// Whether all that is remembered was committed.
    settled: bool,
}

/// How rows that are always new are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a statement, to which PostgreSQL's time limits apply.
    Statement,
    /// By COPY, which takes half of a statement's processor time. A process that is frozen in the middle of it keeps its
    /// locks for ever, so that it is for generations that nobody else waits to write.
    Copy,
}

impl Writers {
    /// Of these views, with nothing to remember yet.
    #[must_use]
    pub fn of(views: &[&dyn AnyView], way: Way) -> Self {
        Self { writers: views.iter().map(|view| view.writer(way)).collect(), settled: true }
    }

    /// Forgets all rows: somebody else may have changed them.
    pub fn forget(&mut self) {
        self.writers.iter_mut().for_each(|writer| writer.forget());
    }

    /// Folds `batch` into the rows of its books and writes them. What it has of a book follows what the book's rows are made
    /// of.
    pub(crate) async fn write(
        &mut self,
        transaction: &Transaction<'_>,
        schema: &Schema,
        batch: &[Happening],
    ) -> Result<(), DatabaseError> {
        if !std::mem::replace(&mut self.settled, false) {
            self.forget();
        }
        let stretches = stretches(batch);
        let writers = self.writers.iter_mut();
        try_join_all(writers.map(|writer| writer.write(transaction, schema, batch, &stretches))).await?;
        Ok(())
    }

    /// The transaction of the last [`Self::write`] was committed.
    pub(crate) fn committed(&mut self) {
        self.settled = true;
    }
}

/// What a batch has of one book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The revision of its first event.
    pub first: u64,
    /// The revision of its last event.
    pub last: u64,
}

fn stretches(batch: &[Happening]) -> BTreeMap<BookId, Stretch> {
    let mut stretches = BTreeMap::new();
    for Happening { book_id, revision, .. } in batch {
        let stretch = stretches.entry(*book_id).or_insert(Stretch { first: *revision, last: *revision });
        stretch.last = *revision;
    }
    stretches
}

/// What writes one view.
pub trait Writer: Send + Sync {
    /// Folds `batch`, of which each book has one stretch, into the rows of its books and writes them.
    fn write<'a>(
        &'a mut self,
        transaction: &'a Transaction<'_>,
        schema: &'a Schema,
        batch: &'a [Happening],
        stretches: &'a BTreeMap<BookId, Stretch>,
    ) -> Pin<Box<dyn Future<Output = Result<(), DatabaseError>> + Send + 'a>>;

    /// Forgets all rows.
    fn forget(&mut self);
}

/// The writer of `V`.
pub(crate) struct Writing<V: View> {
    way: Way,
    remembered: HashMap<BookId, Remembered<V::Row>>,
}

/// A row, and the revision of the last event in it.
struct Remembered<Row> {
    revision: u64,
    row: Row,
}

impl<V: View> Writing<V> {
    pub(crate) fn new(way: Way) -> Self {
        Self { way, remembered: HashMap::new() }
    }

    /// The rows of the books as they are before the batch, as far as they are remembered, and the books of the others.
    /// One whose first event this is has none.
    fn recall(&mut self, stretches: &BTreeMap<BookId, Stretch>) -> (BTreeMap<BookId, V::Row>, Vec<i64>) {
        let (mut rows, mut others) = (BTreeMap::new(), Vec::new());
        for (book, Stretch { first, .. }) in stretches.iter().filter(|(_, stretch)| stretch.first > 0) {
            match self.remembered.remove(book) {
                Some(Remembered { revision, row }) if revision + 1 == *first => {
                    rows.insert(*book, row);
                }
                _ => others.push(value::bigint(book.get())),
            }
        }
        (rows, others)
    }

    fn remember(&mut self, rows: BTreeMap<BookId, V::Row>, stretches: &BTreeMap<BookId, Stretch>) {
        for (book, row) in rows {
            if let Some(Stretch { last, .. }) = stretches.get(&book) {
                self.remembered.insert(book, Remembered { revision: *last, row });
            }
        }
        if self.remembered.len() > REMEMBERED {
            self.remembered.retain(|book, _| stretches.contains_key(book));
        }
    }
}

impl<V: View> Writer for Writing<V> {
    fn write<'a>(
        &'a mut self,
        transaction: &'a Transaction<'_>,
        schema: &'a Schema,
        batch: &'a [Happening],
        stretches: &'a BTreeMap<BookId, Stretch>,
    ) -> Pin<Box<dyn Future<Output = Result<(), DatabaseError>> + Send + 'a>> {
        Box::pin(async move {
            let (mut rows, others) = self.recall(stretches);
            rows.extend(load::<V>(transaction, schema, &others).await?);
            let every = fold::<V>(&mut rows, batch);
            let table = schema.table(V::NAME);
            match (V::KEEPS, self.way) {
                (Keeps::Latest, _) => insert::<V>(transaction, &table, rows.values()).await?,
                (Keeps::Every, Way::Statement) => insert::<V>(transaction, &table, every.iter()).await?,
                (Keeps::Every, Way::Copy) => copy::<V>(transaction, &table, every.iter()).await?,
            }
            self.remember(rows, stretches);
            Ok(())
        })
    }

    fn forget(&mut self) {
        self.remembered.clear();
    }
}

/// Folds `batch` into the rows of its books; answers each row on the way, if those are kept.
fn fold<V: View>(rows: &mut BTreeMap<BookId, V::Row>, batch: &[Happening]) -> Vec<V::Row> {
    let mut every = Vec::new();
    for happening in batch {
        let before = rows.remove(&happening.book_id);
        if let Some(after) = V::fold(before, happening) {
            if V::KEEPS == Keeps::Every {
                every.push(after.clone());
            }
            rows.insert(happening.book_id, after);
        }
    }
    every
}

async fn load<V: View>(
    transaction: &Transaction<'_>,
    schema: &Schema,
    books: &[i64],
) -> Result<BTreeMap<BookId, V::Row>, DatabaseError> {
    if books.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (select, table) = (V::SELECT, schema.table(V::NAME));
    let sql = match V::KEEPS {
        Keeps::Latest => format!("SELECT {select} FROM {table} AS v WHERE v.book_id = ANY($1)"),
        Keeps::Every => format!(
            "SELECT {select} FROM unnest($1::int8[]) AS wanted (book_id) CROSS JOIN LATERAL (
                SELECT * FROM {table} AS h WHERE h.book_id = wanted.book_id ORDER BY h.position DESC LIMIT 1
             ) AS v"
        ),
    };
    let statement = transaction.prepare_cached(&sql).await?;
    let rows = transaction.query(&statement, &[&books]).await?;
    rows.iter()
        .map(|row| V::read(row).map(|row| (V::book_id(&row), row)).map_err(DatabaseError::from))
        .collect()
}

/// Writes many rows at once. Where only the latest row of a book is kept, it may be new or not.
async fn insert<V: View>(
    transaction: &Transaction<'_>,
    table: &str,
    rows: impl Iterator<Item = &V::Row>,
) -> Result<(), DatabaseError> {
    let rows: Vec<Vec<Cell<'_>>> = rows.map(V::cells).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let statement = transaction.prepare_cached(&insert_sql::<V>(table)).await?;
    let columns: Vec<Vec<&Cell<'_>>> = (0..V::COLUMNS.len())
        .map(|column| rows.iter().filter_map(|cells| cells.get(column)).collect())
        .collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
    transaction.execute(&statement, &parameters).await?;
    Ok(())
}

fn insert_sql<V: View>(table: &str) -> String {
    let arrays = (1..).zip(V::COLUMNS).map(|(n, (_, of))| format!("${n}::{of}[]"));
    let insert = format!(
        "INSERT INTO {table} ({}) SELECT * FROM unnest({})",
        names::<V>(),
        arrays.collect::<Vec<_>>().join(", ")
    );
    match V::KEEPS {
        Keeps::Every => insert,
        Keeps::Latest => {
            let others = V::COLUMNS.iter().filter(|(name, _)| *name != "book_id");
            let update: Vec<_> = others.map(|(name, _)| format!("{name} = excluded.{name}")).collect();
            format!("{insert} ON CONFLICT (book_id) DO UPDATE SET {}", update.join(", "))
        }
    }
}

/// Copies rows into the table: nothing is planned or gathered for them, and the first are written while the last are
/// still being told.
async fn copy<V: View>(
    transaction: &Transaction<'_>,
    table: &str,
    rows: impl Iterator<Item = &V::Row>,
) -> Result<(), DatabaseError> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let sql = format!("COPY {table} ({}) FROM STDIN BINARY", names::<V>());
    let statement = transaction.prepare_cached(&sql).await?;
    // Only the number of these matters: each cell knows what it is.
    let types = vec![Type::UNKNOWN; V::COLUMNS.len()];
    let mut writer = pin!(BinaryCopyInWriter::new(transaction.copy_in(&statement).await?, &types));
    for row in rows {
        writer.as_mut().write_raw(&V::cells(row)).await?;
    }
    writer.finish().await?;
    Ok(())
}

fn names<V: View>() -> String {
    V::COLUMNS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
