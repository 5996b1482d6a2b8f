//! Whether two generations hold the same: all tables of the views, every column, every row.
//!
//! The one that serves is looked at in a snapshot, so that it stands still while the projector goes on. Each table is
//! first compared by the sum of the hashes of its rows, which PostgreSQL makes where the rows are; only tables that differ
//! there, or where it is said so, are read row by row.

use crate::database::{Connection, Database, DatabaseError};
use crate::generation::Schema;
use crate::lease::Checkpoint;
use crate::parked::{self, Parked};
use crate::value;
use domain::book::BookId;
use futures_util::TryStreamExt as _;
use std::cmp::Ordering;
use std::pin::pin;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// The table in which a generation keeps the last revision of each stream.
pub const STREAMS: &str = "streams";

/// The generation that serves, as it stood at one moment.
#[derive(Debug)]
pub struct Snapshot {
    connection: Connection,
    /// Its number.
    pub generation: i32,
    /// The version of the folds that wrote it.
    pub fold_version: i32,
    /// Where it stood.
    pub checkpoint: Checkpoint,
}

/// Of which books the rows are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Among<'a> {
    /// Of these; of all, if none are named.
    pub only: Option<&'a [i64]>,
    /// But not of these.
    pub without: &'a [i64],
}

/// Which rows those are.
const AMONG: &str = "($1::int8[] IS NULL OR book_id = ANY($1)) AND book_id <> ALL($2::int8[])";

/// How a table of two generations compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The rows in the snapshot.
    pub rows: u64,
    /// The rows that only one of them has, or that differ.
    pub differing: u64,
    /// The columns that only one of them has, and the table itself if it is one of those.
    pub not_compared: Vec<String>,
}

/// A row that the two generations do not have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The columns of the primary key, and their values in this row.
    pub key: Vec<(String, i64)>,
    /// The cells that differ: the column, the snapshot's value and the other's. All of them where one has no such row.
    pub cells: Vec<Cell>,
    /// Whether the snapshot has the row.
    pub in_snapshot: bool,
    /// Whether the other generation has it.
    pub in_other: bool,
}

/// A cell of a row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The name of the column.
    pub column: String,
    /// The value in the snapshot, as text.
    pub snapshot: Option<String>,
    /// The value in the other generation, as text.
    pub other: Option<String>,
}

/// What two tables have in common.
struct Common {
    key: Vec<String>,
    columns: Vec<String>,
    not_compared: Vec<String>,
}

impl Snapshot {
    /// Of the generation that serves in `database`; `None` where none does.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn of_serving(database: &Database) -> Result<Option<Self>, DatabaseError> {
        let connection = database.connect("bookstock replay snapshot", "").await?;
        connection.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let row = connection
            .client
            .query_opt(
                "SELECT generation, fold_version, position, event_id::text
                 FROM bookstock.active JOIN bookstock.projection USING (generation)",
                &[],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let event_id: Option<&str> = row.try_get(3)?;
        let checkpoint = Checkpoint {
            position: value::read_u64(&row, 2)?,
            event_id: event_id.map(value::parse_event_id).transpose()?,
        };
        let (generation, fold_version) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Some(Self { connection, generation, fold_version, checkpoint }))
    }

    /// The numbers of so many books, chosen at random.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn sample(&self, books: u32) -> Result<Vec<i64>, DatabaseError> {
        let streams = Schema::of(self.generation).table(STREAMS);
        let sql = format!("SELECT book_id FROM {streams} ORDER BY random() LIMIT $1");
        let rows = self.connection.client.query(&sql, &[&i64::from(books)]).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// The streams that wait in it.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn parked(&self) -> Result<Vec<Parked>, DatabaseError> {
        let mut parked = parked::list(&self.connection).await?;
        parked.retain(|parked| parked.generation == self.generation);
        Ok(parked)
    }

    /// The revision of the last event of `book` that is in its rows, if any is.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn revision(&self, book: BookId) -> Result<Option<u64>, DatabaseError> {
        let streams = Schema::of(self.generation).table(STREAMS);
        let sql = format!("SELECT revision FROM {streams} WHERE book_id = $1");
        let row = self.connection.client.query_opt(&sql, &[&value::bigint(book.get())]).await?;
        Ok(row.map(|row| value::read_u64(&row, 0)).transpose()?)
    }

    /// Compares the table `name` with that of another generation, which `other` sees and nobody writes; the rows
    /// of the books `among`. Each difference is handed to `found`, in the order of the primary key, `most` of them
    /// with their cells.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn compare(
        &self,
        other: &Connection,
        generation: i32,
        name: &str,
        among: Among<'_>,
        most: usize,
        mut found: impl FnMut(Difference),
    ) -> Result<Compared, DatabaseError> {
        let (here, there) = (Schema::of(self.generation).table(name), Schema::of(generation).table(name));
        let common = Common::of(&self.connection, other, (self.generation, generation), name).await?;
        if common.key.is_empty() || common.columns.is_empty() {
            return Ok(Compared { rows: 0, differing: 0, not_compared: vec![name.to_owned()] });
        }
        let (sum_here, sum_there) =
            tokio::try_join!(common.sum(&self.connection, &here, among), common.sum(other, &there, among))?;
        let mut compared =
            Compared { rows: sum_here.0, differing: 0, not_compared: common.not_compared.clone() };
        if sum_here == sum_there {
            return Ok(compared);
        }
        let sql = |table: &str| common.rows(table);
        let parameters = || -> [&(dyn ToSql + Sync); 2] { [&among.only, &among.without] };
        let mut here_rows = pin!(self.connection.client.query_raw(&sql(&here), parameters()).await?);
        let mut there_rows = pin!(other.client.query_raw(&sql(&there), parameters()).await?);
        let mut left = here_rows.try_next().await?;
        let mut right = there_rows.try_next().await?;
        let mut differing = Vec::new();
        while left.is_some() || right.is_some() {
            let order = match (&left, &right) {
                (Some(left), Some(right)) => key_of(left)?.cmp(&key_of(right)?),
                (Some(_), None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            let same = order == Ordering::Equal && text_of(left.as_ref())? == text_of(right.as_ref())?;
            if !same {
                compared.differing += 1;
                let row = if order == Ordering::Greater { &right } else { &left };
                if let (true, Some(row)) = (differing.len() < most, row) {
                    differing.push((key_of(row)?, order));
                }
            }
            if order != Ordering::Greater {
                left = here_rows.try_next().await?;
            }
            if order != Ordering::Less {
                right = there_rows.try_next().await?;
            }
        }
        for (key, order) in differing {
            let here = if order == Ordering::Greater {
                None
            } else {
                common.cells(&self.connection, &here, &key).await?
            };
            let there =
                if order == Ordering::Less { None } else { common.cells(other, &there, &key).await? };
            found(common.difference(key, here, there));
        }
        Ok(compared)
    }
}

/// The books of generation `one` of which generation `other` has applied no event.
///
/// # Errors
/// [`DatabaseError`].
pub async fn only_in(connection: &Connection, one: i32, other: i32) -> Result<Vec<BookId>, DatabaseError> {
    let [one, other] = [one, other].map(|generation| Schema::of(generation).table(STREAMS));
    let sql = format!(
        "SELECT book_id FROM {one} AS one
         WHERE NOT EXISTS (SELECT FROM {other} AS other WHERE other.book_id = one.book_id)"
    );
    let rows = connection.client.query(&sql, &[]).await?;
    // A number that no book can have is left to those who compare.
    Ok(rows.iter().filter_map(|row| value::read_book_id(row, 0).ok()).collect())
}

fn key_of(row: &Row) -> Result<Vec<i64>, DatabaseError> {
    Ok(row.try_get(0)?)
}

fn text_of(row: Option<&Row>) -> Result<Option<&str>, DatabaseError> {
    Ok(row.map(|row| row.try_get(1)).transpose()?)
}

impl Common {
    async fn of(
        here: &Connection,
        there: &Connection,
        generations: (i32, i32),
        table: &str,
    ) -> Result<Self, DatabaseError> {
        let (ours, key) = columns(here, Schema::of(generations.0), table).await?;
        let (theirs, _) = columns(there, Schema::of(generations.1), table).await?;
        let (columns, mut not_compared): (Vec<_>, Vec<_>) =
            ours.iter().cloned().partition(|column| theirs.contains(column));
        not_compared.extend(theirs.into_iter().filter(|column| !ours.contains(column)));
        Ok(Self { key, columns, not_compared })
    }

    /// The number of rows, and the sum of their hashes.
    async fn sum(
        &self,
        connection: &Connection,
        table: &str,
        among: Among<'_>,
    ) -> Result<(u64, String), DatabaseError> {
        let sql = format!(
            "SELECT count(*), coalesce(sum(hash_record_extended(ROW({}), 0)::numeric), 0)::text
             FROM {table} WHERE {AMONG}",
            self.columns.join(", ")
        );
        let row = connection.client.query_one(&sql, &[&among.only, &among.without]).await?;
        Ok((value::read_u64(&row, 0)?, row.try_get(1)?))
    }

    /// The key and the text of each row, in the order of the keys.
    fn rows(&self, table: &str) -> String {
        let key: Vec<String> = self.key.iter().map(|column| format!("{column}::int8")).collect();
        format!(
            "SELECT ARRAY[{}], ROW({})::text FROM {table}
             WHERE {AMONG} ORDER BY {}",
            key.join(", "),
            self.columns.join(", "),
            self.key.join(", ")
        )
    }

    /// The cells of one row, as text.
    async fn cells(
        &self,
        connection: &Connection,
        table: &str,
        key: &[i64],
    ) -> Result<Option<Vec<Option<String>>>, DatabaseError> {
        let cells: Vec<String> = self.columns.iter().map(|column| format!("{column}::text")).collect();
        let is_it: Vec<String> = (1..)
            .zip(&self.key)
            .map(|(number, column)| format!("{column} = ($1::int8[])[{number}]"))
            .collect();
        let sql = format!("SELECT {} FROM {table} WHERE {}", cells.join(", "), is_it.join(" AND "));
        let row = connection.client.query_opt(&sql, &[&key]).await?;
        let Some(row) = row else { return Ok(None) };
        let cells = (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>()?;
        Ok(Some(cells))
    }

    fn difference(
        &self,
        key: Vec<i64>,
        here: Option<Vec<Option<String>>>,
        there: Option<Vec<Option<String>>>,
    ) -> Difference {
        let (in_snapshot, in_other) = (here.is_some(), there.is_some());
        let nothing = || vec![None; self.columns.len()];
        let pairs = here.unwrap_or_else(nothing).into_iter().zip(there.unwrap_or_else(nothing));
        let cells = self.columns.iter().zip(pairs).filter(|(_, (snapshot, other))| snapshot != other);
        Difference {
            key: self.key.iter().cloned().zip(key).collect(),
            cells: cells
                .map(|(column, (snapshot, other))| Cell { column: column.clone(), snapshot, other })
                .collect(),
            in_snapshot,
            in_other,
        }
    }
}

/// The columns of a table in their order, and those of its primary key; none if there is no such table.
async fn columns(
    connection: &Connection,
    schema: Schema,
    table: &str,
) -> Result<(Vec<String>, Vec<String>), DatabaseError> {
    let sql = "
        SELECT a.attname::text, array_position(i.indkey::int2[], a.attnum)
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
        WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum";
    let rows = connection.client.query(sql, &[&schema.to_string(), &table]).await?;
    let mut columns = Vec::with_capacity(rows.len());
    let mut key: Vec<(i32, String)> = Vec::new();
    for row in &rows {
        let (name, place): (String, Option<i32>) = (row.try_get(0)?, row.try_get(1)?);
        key.extend(place.map(|place| (place, name.clone())));
        columns.push(name);
    }
    key.sort();
    Ok((columns, key.into_iter().map(|(_, name)| name).collect()))
}
