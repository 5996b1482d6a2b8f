//! What a snapshot is made from: rows of the generation that serves, all of them read in one transaction.

use super::Snapshot;
use super::standing::Standing;
use crate::admin_list::{self, AdminList};
use crate::book_history::BookHistory;
use crate::book_stock::{self, BookStock};
use crate::database::{Connection, DatabaseError};
use crate::generation::Schema;
use crate::list::Listed;
use crate::parked;
use crate::value;
use crate::view::View as _;
use deadpool_postgres::Transaction;
use domain::book::BookId;
use futures_util::TryStreamExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use tokio::time::Instant;
use tokio_postgres::IsolationLevel;
use tokio_postgres::error::SqlState;

/// Rows of one state, for the next snapshot.
pub(super) struct Rows {
    pub(super) standing: Standing,
    /// When the database was asked how things are.
    pub(super) asked: Instant,
    /// Every book that changed after this position is among those before and these; 0: every book.
    pub(super) since: u64,
    pub(super) parked: BTreeMap<BookId, u64>,
    pub(super) books: Vec<book_stock::Row>,
    pub(super) admins: Vec<admin_list::Row>,
}

impl Rows {
    /// Those that changed after `from`. Nothing, if another generation serves, or more than `most` books changed, or there
    /// were more than so many movements.
    pub(super) async fn changed(
        connection: &mut Connection,
        from: &Snapshot,
        most: usize,
        movements: usize,
    ) -> Result<Option<Self>, DatabaseError> {
        let asked = Instant::now();
        let transaction = snapshot(connection).await?;
        // One after the other, but asked at once: whoever waits for a position waits for this.
        let (standing, moved) = tokio::try_join!(
            Standing::ask_in(&transaction),
            moved(&transaction, from.generation, from.position, movements),
        )?;
        let Some(standing) = standing.filter(|standing| from.comes_before(standing)) else { return Ok(None) };
        let Some(moved) = moved.filter(|moved| moved.len() <= most) else { return Ok(None) };
        let Standing { generation, refolds, .. } = standing;
        let (books, admins, parked) = tokio::try_join!(
            of_books::<BookStock>(&transaction, generation, &moved),
            of_books::<AdminList>(&transaction, generation, &moved),
            waiting(&transaction, generation, from.position, refolds),
        )?;
        Ok(Some(Self { standing, asked, since: from.since, parked, books, admins }))
    }

    /// All of them, if there are no more than `most` books and that may be, else those of the `latest` movements. Nothing, if
    /// nothing serves.
    pub(super) async fn all(
        connection: &mut Connection,
        most: usize,
        known_large: bool,
        latest: usize,
    ) -> Result<Option<Self>, DatabaseError> {
        let asked = Instant::now();
        let transaction = snapshot(connection).await?;
        let Some(standing) = Standing::ask_in(&transaction).await? else { return Ok(None) };
        let Standing { generation, position, refolds, .. } = standing;
        let whole = if known_large { None } else { whole(&transaction, generation, most).await? };
        let (since, books, admins) = match whole {
            Some((books, admins)) => (0, books, admins),
            None => {
                let (since, moved) = moved_last(&transaction, generation, position, latest).await?;
                let (books, admins) = tokio::try_join!(
                    of_books::<BookStock>(&transaction, generation, &moved),
                    of_books::<AdminList>(&transaction, generation, &moved),
                )?;
                (since, books, admins)
            }
        };
        let parked = waiting(&transaction, generation, 0, refolds).await?;
        Ok(Some(Self { standing, asked, since, parked, books, admins }))
    }
}

/// All rows; nothing, if there are more.
async fn whole(
    transaction: &Transaction<'_>,
    generation: i32,
    most: usize,
) -> Result<Option<(Vec<book_stock::Row>, Vec<admin_list::Row>)>, DatabaseError> {
    let (books, admins) = tokio::try_join!(
        any::<BookStock>(transaction, generation, most.saturating_add(1)),
        any::<AdminList>(transaction, generation, most.saturating_add(1)),
    )?;
    Ok((books.len().max(admins.len()) <= most).then_some((books, admins)))
}

async fn snapshot(connection: &mut Connection) -> Result<Transaction<'_>, DatabaseError> {
    let begin = connection.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    Ok(begin.read_only(true).start().await?)
}

/// The books whose streams wait at an event after `position`. One that goes on again is folded anew.
async fn waiting(
    transaction: &Transaction<'_>,
    generation: i32,
    position: u64,
    refolds: Option<u64>,
) -> Result<BTreeMap<BookId, u64>, DatabaseError> {
    match refolds {
        Some(_) => parked::since(transaction, generation, position).await,
        None => Ok(BTreeMap::new()),
    }
}

/// The books that moved after `position`, as the history tells; nothing after more than so many movements, or where an
/// earlier version made the tables, which kept no history.
async fn moved(
    transaction: &Transaction<'_>,
    generation: i32,
    position: u64,
    movements: usize,
) -> Result<Option<BTreeSet<i64>>, DatabaseError> {
    let table = Schema::of(generation).table(BookHistory::NAME);
    let sql = format!("SELECT book_id FROM {table} WHERE position > $1 ORDER BY position LIMIT $2");
    let asked = async {
        let statement = transaction.prepare_cached(&sql).await?;
        transaction.query(&statement, &[&value::bigint(position), &count(movements.saturating_add(1))]).await
    };
    match asked.await {
        Ok(found) if found.len() > movements => Ok(None),
        Ok(found) => Ok(Some(found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The books of the last so many movements, and a position after which no other book moved; not 0, after which are all.
async fn moved_last(
    transaction: &Transaction<'_>,
    generation: i32,
    position: u64,
    movements: usize,
) -> Result<(u64, BTreeSet<i64>), DatabaseError> {
    let table = Schema::of(generation).table(BookHistory::NAME);
    let sql = format!("SELECT book_id, position FROM {table} ORDER BY position DESC LIMIT $1");
    let statement = transaction.prepare_cached(&sql).await?;
    let found = transaction.query(&statement, &[&count(movements)]).await?;
    let first = found.last().map_or(Ok(position), |row| value::read_u64(row, 1).map(|first| first - 1))?;
    let books = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok((first.max(1), books))
}

/// The rows of these books.
async fn of_books<V: Listed>(
    transaction: &Transaction<'_>,
    generation: i32,
    books: &BTreeSet<i64>,
) -> Result<Vec<V::Row>, DatabaseError> {
    let table = Schema::of(generation).table(V::NAME);
    let sql = format!("SELECT {} FROM {table} AS v WHERE v.book_id = ANY($1)", V::SELECT);
    let statement = transaction.prepare_cached(&sql).await?;
    let found = transaction.query(&statement, &[&books.iter().collect::<Vec<_>>()]).await?;
    Ok(found.iter().map(V::read).collect::<Result<_, _>>()?)
}

/// So many rows, whichever.
async fn any<V: Listed>(
    transaction: &Transaction<'_>,
    generation: i32,
    most: usize,
) -> Result<Vec<V::Row>, DatabaseError> {
    let table = Schema::of(generation).table(V::NAME);
    let sql = format!("SELECT {} FROM {table} AS v LIMIT $1", V::SELECT);
    let statement = transaction.prepare_cached(&sql).await?;
    let mut found = pin!(transaction.query_raw(&statement, [&count(most)]).await?);
    let mut rows = Vec::new();
    while let Some(row) = found.try_next().await? {
        rows.push(V::read(&row)?);
    }
    Ok(rows)
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
