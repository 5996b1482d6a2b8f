//! Keeps the latest snapshot up to date: on each notification, and at an interval, since a notification can be lost.

use super::read::Rows;
use super::shelf::Shelf;
use super::standing::Standing;
use super::{Known, Snapshot};
use crate::batch::POSITION;
use crate::database::{Connection, Database, DatabaseError, within};
use crate::desk::settings;
use crate::reader::{Projection, ReaderOptions, State};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

/// The pause before another connection, when one was lost or none was to be had.
const LOST: Duration = Duration::from_millis(250);

/// The pause after each change: under load, a few batches of the projector are read as one.
const PAUSE: Duration = Duration::from_millis(5);

/// More rows than this that changed are not taken over one by one: then all is read anew, for which there is more time.
const CHANGES: usize = 50_000;

/// So many rows that changed are taken over at once. More would hold up whoever waits for this thread.
const FEW: usize = 1_000;

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
    let follower = Follower { database: &database, settings: &settings, books, interval, sender: &sender };
    loop {
        let lost = tokio::select! {
            () = sender.closed() => return,
            lost = follower.follow() => lost,
        };
        if sender.borrow().reached != Some(false) {
            tracing::warn!(error = %lost, "the read models are not reached; answers come from memory until they are");
        }
        sender.send_modify(|known| known.reached = Some(false));
        tokio::time::sleep(LOST).await;
    }
}

struct Follower<'a> {
    database: &'a Database,
    /// How connections to it are set up.
    settings: &'a str,
    /// Up to so many, all are held.
    books: usize,
    interval: Duration,
    sender: &'a watch::Sender<Known>,
}

/// The next snapshot.
struct Next {
    snapshot: Snapshot,
    /// When the database said that this is how things are.
    asked: Instant,
    projection: Projection,
}

impl Follower<'_> {
    /// Publishes snapshots over one connection, until that is lost.
    async fn follow(&self) -> DatabaseError {
        let listening = async {
            let connection = self.connect().await?;
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

    async fn connect(&self) -> Result<Connection, DatabaseError> {
        self.database.connect("bookstock reader of changes", self.settings).await
    }

    /// Asks once how things are, and publishes it; whether anything was new.
    async fn look(&self, connection: &mut Connection) -> Result<bool, DatabaseError> {
        let asked = Instant::now();
        let Some(standing) = within(LIMIT, Standing::ask(connection)).await? else {
            // Nothing is set up yet, which is no snapshot, but an answer.
            self.confirm(asked, None);
            return Ok(false);
        };
        let current = self.sender.borrow().snapshot.clone();
        if current.as_ref().is_some_and(|current| current.standing() == standing.state()) {
            self.confirm(asked, Some(standing.projection));
            return Ok(false);
        }
        let next = tokio::select! {
            next = self.next(connection, current.as_ref(), &standing) => next?,
            never = self.attend() => match never {},
        };
        let Some(Next { snapshot, asked, projection }) = next else { return Ok(false) };
        self.sender.send_modify(|known| {
            known.snapshot = Some(Arc::new(snapshot));
            known.confirmed = asked;
            known.answered = known.answered.max(asked);
            known.reached = Some(true);
            known.projection = Some(projection);
        });
        Ok(true)
    }

    /// The database says that things are as they are known.
    fn confirm(&self, at: Instant, projection: Option<Projection>) {
        self.sender.send_if_modified(|known| {
            known.confirmed = at;
            known.answered = at;
            known.reached = Some(true);
            known.projection = projection;
            // Nobody waits for that.
            false
        });
    }

    /// Asks beside whatever is read for long how things are. As long as the database answers it is not out, though what is known
    /// gets older.
    async fn attend(&self) -> Infallible {
        loop {
            tokio::time::sleep(self.interval).await;
            let Ok(connection) = self.connect().await else { continue };
            let mut asked = Instant::now();
            while let Ok(Some(standing)) = within(LIMIT, Standing::ask(&connection)).await {
                self.sender.send_if_modified(|known| {
                    known.answered = asked;
                    known.reached = Some(true);
                    known.projection = Some(standing.projection);
                    false
                });
                tokio::time::sleep(self.interval).await;
                asked = Instant::now();
            }
        }
    }

    /// The next snapshot after `current`, now that things are as `standing` says. Nothing, if nothing serves.
    async fn next(
        &self,
        connection: &mut Connection,
        current: Option<&Arc<Snapshot>>,
        standing: &Standing,
    ) -> Result<Option<Next>, DatabaseError> {
        // Another generation, a stream that was folded anew, or a database that lost its last moments: what is in
        // memory says nothing about it.
        if let Some(current) = current.filter(|current| current.comes_before(standing)) {
            let most = CHANGES.min(if current.is_whole() { self.books } else { self.latest() });
            let reading = Rows::changed(connection, current, most, most.max(MOVEMENTS));
            if let Some(rows) = within(LIMIT, reading).await? {
                return Ok(self.advance(current, rows).await);
            }
        }
        let known_large = current.is_some_and(|current| !current.is_whole());
        let begun = Instant::now();
        let reading = Rows::all(connection, self.books, known_large, self.latest());
        let Some(rows) = within(LOAD_LIMIT, reading).await? else { return Ok(None) };
        let Some(next) = aside(move || Next::of(rows)).await else { return Ok(None) };
        let State { generation, position, .. } = next.snapshot.state();
        let (books, whole) = (next.snapshot.len(), next.snapshot.is_whole());
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

    /// The snapshot after `from`, with these rows that changed.
    async fn advance(&self, from: &Arc<Snapshot>, rows: Rows) -> Option<Next> {
        let (from, latest) = (Arc::clone(from), self.latest());
        let most = if from.is_whole() { self.books } else { 2 * latest };
        let is_quick = rows.books.len() <= FEW && from.len() + rows.books.len() <= most;
        let following = move || {
            let next = Next::after(&from, rows);
            if next.snapshot.len() > most { next.of_latest(latest) } else { next }
        };
        if is_quick { Some(following()) } else { aside(following).await }
    }

    /// How many of the books that changed last are held when they are too many to hold all.
    fn latest(&self) -> usize {
        self.books / 8
    }
}

impl Next {
    /// A snapshot of these rows.
    fn of(rows: Rows) -> Self {
        let Rows { standing, asked, since, parked, books, admins } = rows;
        let Standing { generation, position, refolds, projection } = standing;
        let (books, admins, parked) = (Shelf::of(books), Shelf::of(admins), Arc::new(parked));
        let snapshot = Snapshot { generation, position, refolds, since, parked, books, admins };
        Self { snapshot, asked, projection }
    }

    /// The snapshot `from` with these rows instead of those of the same books.
    fn after(from: &Snapshot, rows: Rows) -> Self {
        let Rows { standing, asked, since, parked, books, admins } = rows;
        let Standing { generation, position, refolds, projection } = standing;
        let (books, admins) = (from.books.with(books), from.admins.with(admins));
        let parked = if parked.is_empty() {
            Arc::clone(&from.parked)
        } else {
            Arc::new(from.parked.iter().map(|(book, at)| (*book, *at)).chain(parked).collect())
        };
        let snapshot = Snapshot { generation, position, refolds, since, parked, books, admins };
        Self { snapshot, asked, projection }
    }

    /// Only those of its books that changed last, when it has more than it may hold.
    fn of_latest(self, size: usize) -> Self {
        let Self { snapshot, asked, projection } = self;
        let (books, of_books) = snapshot.books.latest(size);
        let (admins, of_admins) = snapshot.admins.latest(size);
        // Not 0, which would be a whole.
        let since = of_books.max(of_admins).max(snapshot.since).max(1);
        Self { snapshot: Snapshot { since, books, admins, ..snapshot }, asked, projection }
    }
}

/// Does what takes long where it holds up nobody who waits for an answer. Nothing, if this program is stopping.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
