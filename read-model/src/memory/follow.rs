//! Keeps the latest snapshot up to date: on each notification, and at an interval, since a notification can be lost.

use super::shelf::Shelf;
use super::standing::Standing;
use super::{Known, Snapshot};
use crate::admin_list::{self, AdminList};
use crate::batch::POSITION;
use crate::book_history::BookHistory;
use crate::book_stock::{self, BookStock};
use crate::database::{Connection, Database, DatabaseError, within};
use crate::desk::settings;
use crate::generation::Schema;
use crate::list::Listed;
use crate::parked;
use crate::reader::{Projection, ReaderOptions};
use crate::value;
use crate::view::View as _;
use deadpool_postgres::Transaction;
use domain::book::BookId;
use futures_util::TryStreamExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::IsolationLevel;
use tokio_postgres::error::SqlState;

/// The pause before another connection, when one was lost or none was to be had.
const LOST: Duration = Duration::from_millis(250);

/// The pause after each change: under load, a few batches of the projector are read as one.
const PAUSE: Duration = Duration::from_millis(5);

/// More rows than this that changed are not taken over one by one: then all is read anew, for which there is more time.
const CHANGES: usize = 50_000;

/// How long reading the position may take, and reading the rows that changed.
const LIMIT: Duration = Duration::from_millis(1_500);

/// How long reading all rows may take.
const LOAD_LIMIT: Duration = Duration::from_secs(60);

/// Of so many movements at least it is looked up which books they moved, before all rows are read instead.
const MOVEMENTS: usize = 10_000;

/// Follows the read models in `database` until nobody is interested.
pub(super) async fn keep_up_to_date(
    database: Database,
    options: ReaderOptions,
    sender: watch::Sender<Known>,
) {
    let ReaderOptions { query_timeout, memory_books: books, interval, .. } = options;
    // Reading all rows takes longer than a query may.
    let settings = format!("{}; SET statement_timeout = {}", settings(query_timeout), LOAD_LIMIT.as_millis());
    loop {
        let follower = Follower { books, interval, sender: &sender };
        let lost = tokio::select! {
            () = sender.closed() => return,
            lost = follower.follow(&database, &settings) => lost,
        };
        if sender.borrow().reached != Some(false) {
            tracing::warn!(error = %lost, "the read models are not reached; answers come from memory until they are");
        }
        sender.send_modify(|known| known.reached = Some(false));
        tokio::time::sleep(LOST).await;
    }
}

struct Follower<'a> {
    /// Up to so many, all are held.
    books: usize,
    interval: Duration,
    sender: &'a watch::Sender<Known>,
}

impl Follower<'_> {
    /// Publishes snapshots over one connection, until that is lost.
    async fn follow(&self, database: &Database, settings: &str) -> DatabaseError {
        let listening = async {
            let connection = database.connect("bookstock reader of changes", settings).await?;
            match connection.listen(POSITION).await {
                // A replica cannot listen. The interval is enough.
                Err(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {}
                listening => listening?,
            }
            Ok(connection)
        };
        let mut connection = match listening.await {
            Ok(connection) => connection,
            Err(error) => return error,
        };
        loop {
            let changed = match self.look(&mut connection).await {
                Ok(changed) => changed,
                Err(error) => return error,
            };
            if changed {
                tokio::time::sleep(PAUSE).await;
            } else {
                // Either way, the position is read next.
                let _ = tokio::time::timeout(self.interval, connection.notified()).await;
            }
        }
    }

    /// Asks once how things are, and publishes it; whether anything was new.
    async fn look(&self, connection: &mut Connection) -> Result<bool, DatabaseError> {
        let asked = Instant::now();
        let Some(standing) = within(LIMIT, Standing::ask(connection)).await? else {
            // Nothing is set up yet, which is no snapshot, but an answer.
            self.confirm(asked, None);
            return Ok(false);
        };
        let Standing { generation, position, refolds, projection } = standing;
        let current = self.sender.borrow().snapshot.clone();
        let next = match &current {
            Some(current) if current.standing() == standing.state() => {
                self.confirm(asked, Some(projection));
                return Ok(false);
            }
            Some(current)
                if (current.generation, current.refolds) == (generation, refolds)
                    && current.position < position =>
            {
                within(LIMIT, self.advance(connection, current)).await?
            }
            // Another generation, a stream that was folded anew, or a database that lost its last moments: what is in
            // memory says nothing about it.
            _ => None,
        };
        let next = match next {
            Some(next) => Some(next),
            None => {
                let known_large = current.as_ref().is_some_and(|current| !current.is_whole());
                within(LOAD_LIMIT, self.load(connection, known_large)).await?
            }
        };
        let new = next.is_some();
        if let Some(next) = next {
            let snapshot = Some(Arc::new(next));
            let (reached, projection) = (Some(true), Some(projection));
            self.sender.send_replace(Known { snapshot, confirmed: asked, reached, projection });
        }
        Ok(new)
    }

    fn confirm(&self, at: Instant, projection: Option<Projection>) {
        self.sender.send_if_modified(|known| {
            known.confirmed = at;
            known.reached = Some(true);
            known.projection = projection;
            // Nobody waits for that.
            false
        });
    }

    /// The next snapshot, from this one and the rows that changed since. Nothing, if another generation serves or too
    /// many changed.
    async fn advance(
        &self,
        connection: &mut Connection,
        from: &Snapshot,
    ) -> Result<Option<Snapshot>, DatabaseError> {
        let most = CHANGES.min(if from.is_whole() { self.books } else { latest(self.books) });
        let transaction = snapshot(connection).await?;
        // One after the other, but asked at once: whoever waits for a position waits for this.
        let (standing, moved) = tokio::try_join!(
            Standing::ask_in(&transaction),
            moved(&transaction, from.generation, from.position, most.max(MOVEMENTS)),
        )?;
        let Some(Standing { generation, position, refolds, .. }) = standing else { return Ok(None) };
        if (generation, refolds) != (from.generation, from.refolds) || position < from.position {
            return Ok(None);
        }
        let Some(moved) = moved.filter(|moved| moved.len() <= most) else { return Ok(None) };
        let (books, admins, parked) = tokio::try_join!(
            of_books::<BookStock>(&transaction, generation, &moved),
            of_books::<AdminList>(&transaction, generation, &moved),
            parked(&transaction, generation, from.position, refolds),
        )?;
        let (books, admins) = (from.books.with(books), from.admins.with(admins));
        let parked = if parked.is_empty() {
            Arc::clone(&from.parked)
        } else {
            Arc::new(from.parked.iter().map(|(book, at)| (*book, *at)).chain(parked).collect())
        };
        let next = Snapshot { generation, position, refolds, since: from.since, parked, books, admins };
        let most = if from.is_whole() { self.books } else { 2 * latest(self.books) };
        Ok(Some(if next.len() > most { self.latest_of(next) } else { next }))
    }

    /// A snapshot of the whole if there are not too many books, else of those that changed last.
    async fn load(
        &self,
        connection: &mut Connection,
        known_large: bool,
    ) -> Result<Option<Snapshot>, DatabaseError> {
        let transaction = snapshot(connection).await?;
        let Some(standing) = Standing::ask_in(&transaction).await? else { return Ok(None) };
        let Standing { generation, position, refolds, .. } = standing;
        let begun = Instant::now();
        let whole = if known_large { None } else { self.whole(&transaction, generation).await? };
        let whole_or_latest = match whole {
            Some((books, admins)) => (0, books, admins),
            None => {
                let (since, moved) =
                    moved_last(&transaction, generation, position, latest(self.books)).await?;
                let (books, admins) = tokio::try_join!(
                    of_books::<BookStock>(&transaction, generation, &moved),
                    of_books::<AdminList>(&transaction, generation, &moved),
                )?;
                (since, books, admins)
            }
        };
        let parked = Arc::new(parked(&transaction, generation, 0, refolds).await?);
        let (since, books, admins) = whole_or_latest;
        let (books, admins) = (Shelf::of(books), Shelf::of(admins));
        let next = Snapshot { generation, position, refolds, since, parked, books, admins };
        let (books, whole) = (next.len(), next.is_whole());
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            generation,
            position,
            books,
            whole,
            elapsed_ms,
            "the read models were read into memory"
        );
        Ok(Some(next))
    }

    /// All rows; nothing, if there are too many.
    async fn whole(
        &self,
        transaction: &Transaction<'_>,
        generation: i32,
    ) -> Result<Option<(Vec<book_stock::Row>, Vec<admin_list::Row>)>, DatabaseError> {
        let most = self.books.saturating_add(1);
        let (books, admins) = tokio::try_join!(
            any::<BookStock>(transaction, generation, most),
            any::<AdminList>(transaction, generation, most),
        )?;
        Ok((books.len().max(admins.len()) <= self.books).then_some((books, admins)))
    }

    /// The books of a snapshot that changed last, when it has more than it may hold.
    fn latest_of(&self, snapshot: Snapshot) -> Snapshot {
        let (books, of_books) = snapshot.books.latest(latest(self.books));
        let (admins, of_admins) = snapshot.admins.latest(latest(self.books));
        // Not 0, which would be a whole.
        let since = of_books.max(of_admins).max(snapshot.since).max(1);
        Snapshot { since, books, admins, ..snapshot }
    }
}

/// How many of the books that changed last are held when they are too many to hold all.
fn latest(books: usize) -> usize {
    books / 8
}

async fn snapshot(connection: &mut Connection) -> Result<Transaction<'_>, DatabaseError> {
    let begin = connection.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    Ok(begin.read_only(true).start().await?)
}

/// The books whose streams wait at an event after `position`. One that goes on again is folded anew.
async fn parked(
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
