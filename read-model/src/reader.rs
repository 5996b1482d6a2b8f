//! The reading side: each answer is of one position, and says of which; it comes from memory if it can.

use crate::database::{Database, NotAnAddress};
use crate::desk::{Asked, Desk, Question};
use crate::hot::Hot;
use crate::lease::Lag;
use crate::list::{ListRequest, Listed, Page};
use crate::list_sql::ListSql;
use crate::memory::{Latest, Memory};
use crate::value::Unreadable;
use crate::view::View;
use crate::whole::{Rows, Whole};
use domain::Timestamp;
use domain::book::BookId;
use std::sync::Arc;
use std::time::Duration;

/// What a reader may use.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    /// Connections at most.
    pub pool_size: usize,
    /// How long one query may take, with the wait for a connection.
    pub query_timeout: Duration,
    /// Up to how many books all of them are held in memory.
    pub memory_books: usize,
    /// How often the position is read though nobody told of a new one: a notification can be lost.
    pub interval: Duration,
    /// Told how long each query waited for a connection, also in vain, to measure it.
    pub waited: fn(Duration),
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            pool_size: 16,
            query_timeout: Duration::from_millis(1_500),
            memory_books: 200_000,
            interval: Duration::from_millis(250),
            waited: |_| {},
        }
    }
}

/// A state that the read models are in: all that is read of one state fits together, and never changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The generation of tables that serves.
    pub generation: i32,
    /// How often a stream of it was folded anew, which changes rows at a position that was there before.
    pub refolds: u64,
    /// The position of the last event folded in; 0 before the first.
    pub position: u64,
}

impl State {
    /// Whether `other` is of the same tables, after a stream was folded anew that was not yet in this.
    pub(crate) fn lacks_refolds_of(self, other: Self) -> bool {
        self.generation == other.generation && self.refolds < other.refolds
    }
}

/// A value, and where the read models stood when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// What was read.
    pub value: T,
    /// The position of the last event folded in; 0 before the first.
    pub position: u64,
    /// The generation that it was read from.
    pub generation: i32,
    /// How often a stream of that generation was folded anew.
    pub refolds: u64,
    /// How long ago the database said that this is how things are.
    pub age: Duration,
    /// Whether the database is out, so that things may have changed since.
    pub stale: bool,
    /// How many streams wait at an event that could not be applied.
    pub parked: u64,
}

/// The read models were not where a reader wanted them in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the read models are at position {position} only")]
pub struct Behind {
    /// Where they are; 0 before the first event, or while the database has not answered yet.
    pub position: u64,
}

/// Where the read models stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many books are held in memory.
    pub books: usize,
    /// Whether these are all.
    pub whole: bool,
}

/// How the projection is that makes the read models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Whether a projector holds the lease.
    pub running: bool,
    /// Since when that is so, if it is known.
    pub since: Option<Timestamp>,
    /// How late the read models are, if anybody knows: only a projector does that hears the event store.
    pub lag: Option<Lag>,
}

/// Why a query was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReaderError {
    /// PostgreSQL was not reached, did not answer in time, or has no connection to spare. It may work again soon.
    #[error("the read models cannot be reached: {0}")]
    Unavailable(String),
    /// The database holds no read models yet.
    #[error("the read models are not set up yet ({0}); start the projector once on this database")]
    NotSetUp(String),
    /// The tables that serve do not hold what was asked for: another version of the views made them.
    #[error(
        "generation {generation} of the read models was made by version {theirs} of the views, and this program has version {ours}; `replay rebuild` makes them anew"
    )]
    OtherVersion {
        /// The generation that serves.
        generation: i32,
        /// The version that made it.
        theirs: i32,
        /// The version of this program.
        ours: i32,
    },
    /// What was read makes no sense.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Reads the views. Cheap to clone; all clones share one memory and one pool of connections.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    memory: Memory,
    desk: Arc<Desk>,
    hot: Hot,
}

impl Reader {
    /// A reader of the database at `database_url`. It starts while the database is down, and follows what changes from
    /// now on. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`NotAnAddress`].
    pub fn new(database_url: &str, options: ReaderOptions) -> Result<Self, NotAnAddress> {
        let database: Database = database_url.parse()?;
        let desk = Arc::new(Desk::new(&database, &options));
        let memory = Memory::follow(database, options);
        Ok(Self { shared: Arc::new(Shared { memory, desk, hot: Hot::default() }) })
    }

    /// Answers where the read models stand, when the database answers.
    ///
    /// # Errors
    /// [`ReaderError`].
    pub async fn ping(&self) -> Result<At<()>, ReaderError> {
        let asked = self.shared.desk.ping().await?;
        Ok(self.fresh(asked))
    }

    /// What is held in memory, and how old it may be; nothing before the database first answered.
    #[must_use]
    pub fn standing(&self) -> Option<At<Standing>> {
        let latest = self.shared.memory.latest()?;
        let standing = Standing { books: latest.snapshot.len(), whole: latest.snapshot.is_whole() };
        Some(latest.at(standing))
    }

    /// How the projection is; nothing while the database does not answer, or holds no read models yet.
    #[must_use]
    pub fn projection(&self) -> Option<Projection> {
        self.shared.memory.projection()
    }

    /// The position that the read models were last seen at; 0 before the first event, or while it is not known.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.shared.memory.position()
    }

    /// Waits until the read models are at `position` or later. Compare [`At::position`] of the answer with it as well:
    /// a database that crashed may have lost its last moments, and folds them anew.
    ///
    /// # Errors
    /// [`Behind`], with the position reached, when that takes longer than `limit`.
    pub async fn wait_for(&self, position: u64, limit: Duration) -> Result<(), Behind> {
        let reached = self.shared.memory.wait_for(position, limit).await;
        if reached { Ok(()) } else { Err(Behind { position: self.position() }) }
    }

    /// Waits until the read models are in another state than this; whether that can still happen.
    pub async fn wait_for_change(&self, state: State) -> bool {
        self.shared.memory.wait_for_change(state).await
    }

    /// The position of the event at which the stream of `book` waits, if it does. What a view shows of that book is no
    /// newer, however far all others have come.
    ///
    /// # Errors
    /// [`ReaderError`].
    pub async fn parked(&self, book: BookId) -> Result<At<Option<u64>>, ReaderError> {
        let latest = self.latest().await?;
        Ok(latest.at(latest.snapshot.parked.get(&book).copied()))
    }

    pub(crate) async fn by_id<V: Listed>(&self, book: BookId) -> Result<At<Option<V::Row>>, ReaderError> {
        let Shared { desk, hot, .. } = &*self.shared;
        let latest = self.latest().await?;
        if let Some(row) = latest.snapshot.row::<V>(book) {
            return Ok(latest.at(row));
        }
        V::hot(hot).row(book, &latest, || desk.by_id::<V>(book)).await
    }

    pub(crate) async fn list<V: Listed>(
        &self,
        request: &ListRequest,
    ) -> Result<At<Page<V::Row>>, ReaderError> {
        let Shared { desk, hot, .. } = &*self.shared;
        let latest = self.latest().await?;
        if let Some(page) = latest.snapshot.list::<V>(request) {
            return Ok(latest.at(page));
        }
        V::hot(hot).page(request, &latest, || desk.list::<V>(request)).await
    }

    pub(crate) async fn whole<V: Listed>(
        &self,
        request: &ListRequest,
    ) -> Result<At<Rows<V::Row>>, ReaderError> {
        let latest = self.latest().await?;
        if latest.snapshot.is_whole() {
            return Ok(latest.at(Rows::in_memory(V::shelf(&latest.snapshot).all(request))));
        }
        self.stream::<V>(ListSql::<V>::of(request).whole()).await
    }

    /// All rows of a list from the database, past all that is held in memory.
    pub(crate) async fn stream<V: View>(&self, list: Whole) -> Result<At<Rows<V::Row>>, ReaderError> {
        let asked = self.shared.desk.whole::<V>(list).await?;
        Ok(self.fresh(asked))
    }

    /// Asks the database, past all that is held in memory.
    pub(crate) async fn ask<T>(
        &self,
        question: Question<'_>,
        read: impl Fn(&[tokio_postgres::Row]) -> Result<T, Unreadable>,
    ) -> Result<At<T>, ReaderError> {
        let asked = self.shared.desk.ask(question, read).await?;
        Ok(self.fresh(asked))
    }

    /// What the database has just said.
    fn fresh<T>(&self, asked: Asked<T>) -> At<T> {
        let Asked { value, state: State { generation, refolds, position } } = asked;
        let parked = self.shared.memory.latest().map_or(0, |latest| latest.snapshot.parked());
        At { value, position, generation, refolds, age: Duration::ZERO, stale: false, parked }
    }

    /// The latest snapshot. Before there is one, it is waited for while the database answers; asking the database instead
    /// could show more than the snapshot does that comes then.
    async fn latest(&self) -> Result<Latest, ReaderError> {
        let Shared { memory, desk, .. } = &*self.shared;
        if let Some(latest) = memory.latest() {
            return Ok(latest);
        }
        if let Some(latest) = memory.first(desk.query_timeout()).await {
            return Ok(latest);
        }
        let not_yet = ReaderError::Unavailable("they have not been read into memory yet".to_owned());
        Err(desk.other_version().await?.unwrap_or(not_yet))
    }
}

impl<T> At<T> {
    /// The state that it was read of.
    #[must_use]
    pub fn state(&self) -> State {
        State { generation: self.generation, refolds: self.refolds, position: self.position }
    }

    /// Where and when it was read, and the value itself.
    #[must_use]
    pub fn split(self) -> (At<()>, T) {
        let Self { value, position, generation, refolds, age, stale, parked } = self;
        (At { value: (), position, generation, refolds, age, stale, parked }, value)
    }

    /// The same of what `change` makes of the value.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        let (at, value) = self.split();
        at.with(change(value))
    }

    /// The same of another value.
    pub(crate) fn with<U>(self, value: U) -> At<U> {
        let Self { position, generation, refolds, age, stale, parked, .. } = self;
        At { value, position, generation, refolds, age, stale, parked }
    }
}

impl Latest {
    /// An answer of the database, which is no older than this.
    pub(crate) fn at_its_own<T: Clone>(&self, asked: &Asked<T>) -> At<T> {
        let Asked { value, state: State { generation, refolds, position } } = asked.clone();
        At { position, generation, refolds, ..self.at(value) }
    }

    pub(crate) fn at<T>(&self, value: T) -> At<T> {
        let State { generation, refolds, position } = self.snapshot.state();
        let Self { age, stale, .. } = *self;
        At { value, position, generation, refolds, age, stale, parked: self.snapshot.parked() }
    }
}
