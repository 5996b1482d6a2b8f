//! What a view is.

use crate::cell::Cell;
use crate::generation::Schema;
use crate::value::Unreadable;
use crate::write::{Way, Writer, Writing};
use domain::book::{BookEvent, BookId};
use domain::metadata::Provenance;
use std::fmt::Debug;
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

    /// The columns that [`View::cells`] fills, and their SQL types.
    const COLUMNS: &'static [(&'static str, &'static str)];

    /// The row after `happening`, from the row before it if there was one. `None` while nothing is known of the book.
    fn fold(before: Option<Self::Row>, happening: &Happening) -> Option<Self::Row>;

    /// The row in the first columns of `row`.
    ///
    /// # Errors
    /// [`Unreadable`] when it holds what no view wrote.
    fn read(row: &tokio_postgres::Row) -> Result<Self::Row, Unreadable>;

    /// Which book a row is of.
    fn book_id(row: &Self::Row) -> BookId;

    /// The cells of a row, one for each of [`View::COLUMNS`].
    fn cells(row: &Self::Row) -> Vec<Cell<'_>>;
}

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

    /// What writes its rows for one owner of a generation.
    fn writer(&self, way: Way) -> Box<dyn Writer>;
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

    fn writer(&self, way: Way) -> Box<dyn Writer> {
        Box::new(Writing::<V>::new(way))
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
