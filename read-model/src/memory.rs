//! What readers see, in memory: both views at one position, so that most answers cost the database nothing, and none of
//! them fails while it is away.
//!
//! Up to so many books a snapshot is whole. Beyond that it holds those that changed last, which is what most people ask
//! for and what followers of changes need; the rest is asked from the database.

mod follow;
mod ordered;
mod read;
mod shelf;
mod standing;

use crate::admin_list::AdminList;
use crate::book_stock::BookStock;
use crate::database::Database;
use crate::list::{Column, Key, ListRequest, Listed, Mark, Order, Page, Place};
use crate::reader::{Projection, ReaderOptions, State};
use domain::book::BookId;
pub(crate) use shelf::{Entry, Shelf};
use standing::Standing;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A database that did not answer for so long is out, and what is known of it may be old.
const STALE_AFTER: Duration = Duration::from_secs(2);

/// Both views as they were at a position. It never changes.
pub(crate) struct Snapshot {
    pub(crate) generation: i32,
    pub(crate) position: u64,
    /// How often a stream of the generation was folded anew: then rows changed whose positions are not new. Nothing by
    /// control tables of an earlier version, which park no stream either.
    pub(crate) refolds: Option<u64>,
    /// Every book that changed after this position is here; 0: every book.
    pub(crate) since: u64,
    /// The books whose streams wait, and the position of the event that each waits at.
    pub(crate) parked: Arc<BTreeMap<BookId, u64>>,
    pub(crate) books: Shelf<BookStock>,
    pub(crate) admins: Shelf<AdminList>,
}

impl Snapshot {
    /// What tells it from others.
    fn standing(&self) -> (i32, u64, Option<u64>) {
        (self.generation, self.position, self.refolds)
    }

    /// Whether it can become what `standing` tells by what changed since.
    fn comes_before(&self, standing: &Standing) -> bool {
        (self.generation, self.refolds) == (standing.generation, standing.refolds)
            && self.position <= standing.position
    }

    pub(crate) fn state(&self) -> State {
        let Self { generation, position, .. } = *self;
        State { generation, refolds: self.refolds.unwrap_or(0), position }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.since == 0
    }

    /// How many streams wait.
    pub(crate) fn parked(&self) -> u64 {
        u64::try_from(self.parked.len()).unwrap_or(u64::MAX)
    }

    /// How many books are here.
    pub(crate) fn len(&self) -> usize {
        self.books.len().max(self.admins.len())
    }

    /// The row of a book, if the answer is known: `Some(None)` is a book that does not exist.
    pub(crate) fn row<V: Listed>(&self, book: BookId) -> Option<Option<V::Row>> {
        let row = V::shelf(self).get(book).cloned();
        (row.is_some() || self.is_whole()).then_some(row)
    }

    /// A part of a list, if it can be told from here.
    pub(crate) fn list<V: Listed>(&self, request: &ListRequest) -> Option<Page<V::Row>> {
        (self.is_whole() || self.has_all_after(request)).then(|| V::shelf(self).list(request))
    }

    /// Whether a walk is among the changes that are here.
    fn has_all_after(&self, request: &ListRequest) -> bool {
        let Place::After(Mark { key: Key::Position(position), .. }) = request.place else { return false };
        position >= self.since && request.order() == [(Column::Position, Order::Ascending)]
    }
}

/// What is known of the read models.
#[derive(Clone)]
struct Known {
    /// Nothing before the database first answered.
    snapshot: Option<Arc<Snapshot>>,
    /// When the database last said that this is how things are.
    confirmed: Instant,
    /// When it last said anything: while much of it is read, things are not as they are known, but it is not out.
    answered: Instant,
    /// Whether it answered when it was last asked; nothing before that.
    reached: Option<bool>,
    /// How the projection was then; nothing where there is none.
    projection: Option<Projection>,
}

/// The latest snapshot, kept up to date by a task that ends with the last clone of this.
#[derive(Clone)]
pub(crate) struct Memory {
    latest: watch::Receiver<Known>,
}

/// A snapshot, and how old it may be.
pub(crate) struct Latest {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) age: Duration,
    pub(crate) stale: bool,
}

impl Memory {
    /// Follows `database`.
    pub(crate) fn follow(database: Database, options: ReaderOptions) -> Self {
        let now = Instant::now();
        let known = Known { snapshot: None, confirmed: now, answered: now, reached: None, projection: None };
        let (sender, latest) = watch::channel(known);
        tokio::spawn(follow::keep_up_to_date(database, options, sender));
        Self { latest }
    }

    /// The latest snapshot; none before the database first answered.
    pub(crate) fn latest(&self) -> Option<Latest> {
        let known = self.latest.borrow();
        let snapshot = known.snapshot.clone()?;
        Some(Latest { snapshot, age: known.confirmed.elapsed(), stale: known.is_stale() })
    }

    /// How the projection is, if the database says so now.
    pub(crate) fn projection(&self) -> Option<Projection> {
        let known = self.latest.borrow();
        if known.is_stale() { None } else { known.projection }
    }

    /// The first snapshot, if it comes in time and the database answers.
    pub(crate) async fn first(&self, limit: Duration) -> Option<Latest> {
        let mut latest = self.latest.clone();
        let decided = |known: &Known| known.snapshot.is_some() || known.reached == Some(false);
        // Late or not, what there is now is the answer.
        let _ = tokio::time::timeout(limit, latest.wait_for(decided)).await;
        self.latest()
    }

    /// The position of the latest snapshot.
    pub(crate) fn position(&self) -> u64 {
        self.latest.borrow().position()
    }

    /// Waits for a snapshot of this position or a later one; whether it came in time.
    pub(crate) async fn wait_for(&self, position: u64, limit: Duration) -> bool {
        let mut latest = self.latest.clone();
        let reached = latest.wait_for(|known| known.position() >= position);
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// Waits until there is a snapshot of another state than this; whether there will be any.
    pub(crate) async fn wait_for_change(&self, state: State) -> bool {
        let mut latest = self.latest.clone();
        let other = |known: &Known| known.snapshot.as_ref().is_some_and(|now| now.state() != state);
        latest.wait_for(other).await.is_ok()
    }
}

impl Known {
    /// Whether the database is out, so that things may have changed since and nobody knows.
    fn is_stale(&self) -> bool {
        self.reached != Some(true) || self.answered.elapsed() > STALE_AFTER
    }

    fn position(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.position)
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Memory").field("position", &self.position()).finish_non_exhaustive()
    }
}
