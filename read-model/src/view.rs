//! What a view is, and the one way in which all views are written.

use crate::database::DatabaseError;
use crate::generation::Schema;
use crate::value::Unreadable;
use deadpool_postgres::Transaction;
use domain::book::{BookEvent, BookId};
use domain::metadata::Provenance;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// An event with its place: what a projection hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// The book it happened to: the stream it was read from.
    pub book_id: BookId,
    /// Its place in the book's stream, from 0.
    pub revision: u64,
    /// Its place in the store; later is larger, never 0.
    pub position: u64,
    /// What happened.
    pub event: BookEvent,
    /// The event's own id.
    pub event_id: Uuid,
    /// Who and what stood behind it.
    pub provenance: Provenance,
}

/// Which rows a view keeps of those that its fold leads through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// The latest of each book: one row for each book.
    Latest,
    /// Every one: one row for each event.
    Every,
}

/// A view: a table of rows folded from the books' events, one for each book or one for each event.
///
/// It says how, and does nothing itself: the fold is pure and the SQL is text. So a rebuild can have no side effect.
pub trait View: Send + Sync + 'static {
    /// One row.
    type Row: Clone + Debug + PartialEq + Send + Sync;

    /// The name of the view and of its table.
    const NAME: &'static str;

    /// Which rows are kept.
    const KEEPS: Keeps = Keeps::Latest;

    /// The columns of its table as `CREATE TABLE` lists them: `book_id bigint` is one of them, the primary key if only
    /// the latest row is kept; else `position bigint` is another.
    const TABLE: &'static str;

    /// What its table is looked through by, apart from its primary key: the list of an index each. Where every row is
    /// kept, the first is what the latest row of a book is found by, also while it is written.
    const INDEXES: &'static [&'static str] = &[];

    /// What its rows are sorted by, the list of an index each. These come with [`crate::sorting::MANY`] books: fewer rows
    /// are sorted sooner than so many indexes are kept up to date.
    const SORTS: &'static [&'static str] = &[];

    /// What [`View::read`] reads of the table `v`, in this order.
    const SELECT: &'static str;

    /// Writes many rows at once, new or not, into `{table}`; `$1` to `$n` are [`View::columns`].
    const UPSERT: &'static str;

    /// The row after `happening`, from the row before it if there was one. `None` while nothing is known of the book.
    fn fold(before: Option<Self::Row>, happening: &Happening) -> Option<Self::Row>;

    /// The row in the first columns of `row`.
    ///
    /// # Errors
    /// [`Unreadable`] when it holds what no view wrote.
    fn read(row: &tokio_postgres::Row) -> Result<Self::Row, Unreadable>;

    /// Which book a row is of.
    fn book_id(row: &Self::Row) -> BookId;

    /// The rows as columns, one array each.
    fn columns(rows: &[Self::Row]) -> Vec<Column>;
}

/// One column of many rows: an array parameter.
pub type Column = Box<dyn ToSql + Send + Sync>;

/// What the engine does to any view, whatever its rows are.
pub trait AnyView: Send + Sync {
    /// The view's name.
    fn name(&self) -> &'static str;

    /// The statements that make its table in `schema`, with the indexes that writing needs and no more.
    fn create_table(&self, schema: &Schema) -> String;

    /// The statements that make the other indexes of its table: before many rows come they cost little, after that less.
    fn create_indexes(&self, schema: &Schema) -> Vec<String>;

    /// The statements that make the indexes by which many rows are sorted.
    fn create_sorts(&self, schema: &Schema) -> Vec<String>;

    /// Loads the rows of the books in `batch`, folds the batch into them and writes them back.
    fn project<'a>(
        &'a self,
        transaction: &'a Transaction<'_>,
        schema: &'a Schema,
        batch: &'a [Happening],
    ) -> Pin<Box<dyn Future<Output = Result<(), DatabaseError>> + Send + 'a>>;
}

impl<V: View> AnyView for V {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn create_table(&self, schema: &Schema) -> String {
        let table = format!("CREATE TABLE {} ({}) {}", schema.table(V::NAME), V::TABLE, room::<V>());
        let indexes = index_statements::<V>(schema, V::INDEXES);
        [table]
            .into_iter()
            .chain(indexes.into_iter().take(needed_to_write::<V>()))
            .collect::<Vec<_>>()
            .join(";\n")
    }

    fn create_indexes(&self, schema: &Schema) -> Vec<String> {
        index_statements::<V>(schema, V::INDEXES).split_off(needed_to_write::<V>())
    }

    fn create_sorts(&self, schema: &Schema) -> Vec<String> {
        index_statements::<V>(schema, V::SORTS)
    }

    fn project<'a>(
        &'a self,
        transaction: &'a Transaction<'_>,
        schema: &'a Schema,
        batch: &'a [Happening],
    ) -> Pin<Box<dyn Future<Output = Result<(), DatabaseError>> + Send + 'a>> {
        Box::pin(async move {
            let before = load::<V>(transaction, schema, &known_books(batch)).await?;
            write::<V>(transaction, schema, &fold::<V>(before, batch)).await
        })
    }
}

fn index_statements<V: View>(schema: &Schema, indexes: &[&str]) -> Vec<String> {
    let table = schema.table(V::NAME);
    indexes.iter().map(|index| format!("CREATE INDEX ON {table} ({index})")).collect()
}

/// How pages are filled. One that has room takes the next version of a row that changes, and no index has to be told of it.
fn room<V: View>() -> &'static str {
    match V::KEEPS {
        Keeps::Latest => "WITH (fillfactor = 80)",
        Keeps::Every => "",
    }
}

/// How many of the indexes are needed to write the rows.
fn needed_to_write<V: View>() -> usize {
    match V::KEEPS {
        Keeps::Latest => 0,
        Keeps::Every => V::INDEXES.len().min(1),
    }
}

/// The books in `batch` that had events before it. Only they can have rows, and so only they are looked up: while
/// history is read, most books are new.
pub(crate) fn known_books(batch: &[Happening]) -> Vec<i64> {
    let mut first = BTreeMap::new();
    for happening in batch {
        first.entry(happening.book_id).or_insert(happening.revision);
    }
    first
        .into_iter()
        .filter(|(_, revision)| *revision > 0)
        .map(|(book, _)| crate::value::bigint(book.get()))
        .collect()
}

/// The rows that `batch` leads to, as far as they are kept.
fn fold<V: View>(mut rows: BTreeMap<BookId, V::Row>, batch: &[Happening]) -> Vec<V::Row> {
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
    match V::KEEPS {
        Keeps::Latest => rows.into_values().collect(),
        Keeps::Every => every,
    }
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

async fn write<V: View>(
    transaction: &Transaction<'_>,
    schema: &Schema,
    rows: &[V::Row],
) -> Result<(), DatabaseError> {
    let sql = V::UPSERT.replace("{table}", &schema.table(V::NAME));
    let statement = transaction.prepare_cached(&sql).await?;
    let columns = V::columns(rows);
    let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| &**column as _).collect();
    transaction.execute(&statement, &parameters).await?;
    Ok(())
}
