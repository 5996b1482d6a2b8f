//! Keeps the latest snapshot up to date: on each notification, and at an interval, since a notification can be lost.

use super::shelf::Shelf;
use super::{Known, Snapshot};
use crate::admin_list::AdminList;
use crate::batch::POSITION;
use crate::book_stock::BookStock;
use crate::database::{Connection, Database, DatabaseError, within};
use crate::generation::Schema;
use crate::list::Listed;
use crate::parked;
use crate::value;
use deadpool_postgres::Transaction;
use domain::book::BookId;
use futures_util::TryStreamExt as _;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::IsolationLevel;
use tokio_postgres::error::SqlState;

/// The position is read at least so often.
const INTERVAL: Duration = Duration::from_millis(250);

/// The pause after each change: under load, a few batches of the projector are read as one.
const PAUSE: Duration = Duration::from_millis(5);

/// How long reading the position may take, and reading the rows that changed.
const LIMIT: Duration = Duration::from_millis(1_500);

/// How long reading all rows may take.
const LOAD_LIMIT: Duration = Duration::from_secs(60);

/// Follows the read models in `database` until nobody is interested.
pub(super) async fn keep_up_to_date(
    database: Database,
    settings: String,
    books: usize,
    sender: watch::Sender<Known>,
) {
    // Reading all rows takes longer than a query may.
    let settings = format!("{settings}; SET statement_timeout = {}", LOAD_LIMIT.as_millis());
    loop {
        let follower = Follower { books, sender: &sender };
        let lost = tokio::select! {
            () = sender.closed() => return,
            lost = follower.follow(&database, &settings) => lost,
        };
        if sender.borrow().reached != Some(false) {
            tracing::warn!(error = %lost, "the read models are not reached; answers come from memory until they are");
        }
        sender.send_modify(|known| known.reached = Some(false));
        tokio::time::sleep(INTERVAL).await;
    }
}

struct Follower<'a> {
    books: usize,
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
                let _ = tokio::time::timeout(INTERVAL, connection.notified()).await;
            }
        }
    }

    /// Asks once how things are, and publishes it; whether anything was new.
    async fn look(&self, connection: &mut Connection) -> Result<bool, DatabaseError> {
        let asked = Instant::now();
        let Some((generation, position, refolds)) = within(LIMIT, standing(connection)).await? else {
            // Nothing is set up yet, which is no snapshot, but an answer.
            self.confirm(asked);
            return Ok(false);
        };
        let current = self.sender.borrow().snapshot.clone();
        let next = match &current {
            Some(current) if current.standing() == (generation, position, refolds) => {
                self.confirm(asked);
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
                let most = if known_large { latest(self.books) } else { self.books };
                within(LOAD_LIMIT, self.load(connection, most)).await?
            }
        };
        let new = next.is_some();
        if let Some(next) = next {
            let snapshot = Some(Arc::new(next));
            self.sender.send_replace(Known { snapshot, confirmed: asked, reached: Some(true) });
        }
        Ok(new)
    }

    fn confirm(&self, at: Instant) {
        self.sender.send_if_modified(|known| {
            known.confirmed = at;
            known.reached = Some(true);
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
        let most = if from.is_whole() { self.books } else { latest(self.books) };
        let transaction = snapshot(connection).await?;
        let Some((generation, position, refolds)) = standing_in(&transaction).await? else { return Ok(None) };
        if (generation, refolds) != (from.generation, from.refolds) || position < from.position {
            return Ok(None);
        }
        let (books, admins, parked) = tokio::try_join!(
            changed::<BookStock>(&transaction, generation, from.position, most),
            changed::<AdminList>(&transaction, generation, from.position, most),
            parked(&transaction, generation, from.position, refolds),
        )?;
        if books.len().max(admins.len()) > most {
            return Ok(None);
        }
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

    /// A snapshot of the whole if there are no more than `most` books, else of those that changed last.
    async fn load(
        &self,
        connection: &mut Connection,
        most: usize,
    ) -> Result<Option<Snapshot>, DatabaseError> {
        let transaction = snapshot(connection).await?;
        let Some((generation, position, refolds)) = standing_in(&transaction).await? else { return Ok(None) };
        let begun = Instant::now();
        let (books, admins, parked) = tokio::try_join!(
            changed::<BookStock>(&transaction, generation, 0, most),
            changed::<AdminList>(&transaction, generation, 0, most),
            parked(&transaction, generation, 0, refolds),
        )?;
        let (books, admins) = (Shelf::of(books), Shelf::of(admins));
        let parked = Arc::new(parked);
        let read = Snapshot { generation, position, refolds, since: 0, parked, books, admins };
        let whole = read.len() <= most;
        let next = if whole { read } else { self.latest_of(read) };
        let (books, elapsed_ms) = (next.len(), begun.elapsed().as_millis());
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

// The control tables may be of an earlier version, which counts no refolds: a projector has still to migrate them.
const STANDING: &str = "SELECT active.generation, projection.position,
        (to_jsonb(projection) ->> 'refolds')::int8
    FROM bookstock.active JOIN bookstock.projection USING (generation)";

type Standing = (i32, u64, Option<u64>);

async fn standing(connection: &Connection) -> Result<Option<Standing>, DatabaseError> {
    let statement = connection.client.prepare_cached(STANDING).await?;
    connection.client.query_opt(&statement, &[]).await?.as_ref().map(read_standing).transpose()
}

async fn standing_in(transaction: &Transaction<'_>) -> Result<Option<Standing>, DatabaseError> {
    let statement = transaction.prepare_cached(STANDING).await?;
    transaction.query_opt(&statement, &[]).await?.as_ref().map(read_standing).transpose()
}

fn read_standing(row: &tokio_postgres::Row) -> Result<Standing, DatabaseError> {
    let refolds: Option<i64> = value::read(row, 2)?;
    let refolds = refolds.and_then(|refolds| u64::try_from(refolds).ok());
    Ok((value::read(row, 0)?, value::read_u64(row, 1)?, refolds))
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

/// The rows that changed after `position`, the last of them first, and no more than one above `most`.
async fn changed<V: Listed>(
    transaction: &Transaction<'_>,
    generation: i32,
    position: u64,
    most: usize,
) -> Result<Vec<V::Row>, DatabaseError> {
    let table = Schema::of(generation).table(V::NAME);
    let sql = format!(
        "SELECT {} FROM {table} AS v WHERE v.position > $1 ORDER BY v.position DESC LIMIT $2",
        V::SELECT
    );
    let statement = transaction.prepare_cached(&sql).await?;
    let most = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&value::bigint(position), &most];
    let mut found = pin!(transaction.query_raw(&statement, parameters).await?);
    let mut rows = Vec::new();
    while let Some(row) = found.try_next().await? {
        rows.push(V::read(&row)?);
    }
    Ok(rows)
}
