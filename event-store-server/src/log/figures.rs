//! What the log counts: for `/metrics`, where all that runs in one process adds up, and for `/stats`.

use super::ahead::log_of;
use service_kit::metrics::{Counter, Gauge, Histogram};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

static CHANGES: Counter<1> = Counter::new(
    "event_store_changes_total",
    "Appends and deletions that were decided, by outcome: durable, wrong-expected-revision, stream-deleted, failed.",
    ["outcome"],
);
static EVENTS: Counter<0> = Counter::new("event_store_events_total", "Events that were committed.", []);
static COMMIT: Histogram<0> =
    Histogram::new("event_store_commit_duration_seconds", "How long a commit took, with its fsync.", []);
static SYNC: Histogram<1> = Histogram::new(
    "event_store_sync_duration_seconds",
    "How long it took until what was written was on the disk, by what that was: log, at the end of a commit, or database, at \
     the end of a fold.",
    ["of"],
);
static FOLD: Histogram<1> = Histogram::new(
    "event_store_fold_duration_seconds",
    "How long it took to fold the write-ahead log into the database, by who did it: folder, beside appends, or writer, \
     between them.",
    ["by"],
);
static GROUP: Histogram<0> =
    Histogram::new("event_store_commit_changes", "How many changes were committed together.", []);
static POSITION: Gauge<0> = Gauge::new("event_store_position", "The position of the last event.", []);
static SUBSCRIPTIONS: Gauge<0> =
    Gauge::new("event_store_subscriptions", "Subscriptions that are under way.", []);
static SESSIONS: Gauge<0> =
    Gauge::new("event_store_sessions", "Sessions of BatchAppend that are under way.", []);

/// The outcome of a change that is on the disk.
pub(super) const DURABLE: &str = "durable";

/// The figures of one log. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Figures(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    database: PathBuf,
    durable: bool,
    changes: AtomicU64,
    events: AtomicU64,
    commits: AtomicU64,
    subscriptions: AtomicI64,
}

/// The figures at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats {
    pub(crate) changes: u64,
    pub(crate) events: u64,
    pub(crate) commits: u64,
    pub(crate) subscriptions: i64,
    pub(crate) database_bytes: u64,
    pub(crate) write_ahead_log_bytes: u64,
}

impl Figures {
    /// Of a log that is on a disk, or only in memory.
    pub(super) fn new(database: &Path, durable: bool) -> Self {
        let (changes, events, commits) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let subscriptions = AtomicI64::new(0);
        Self(Arc::new(Counted {
            database: database.to_owned(),
            durable,
            changes,
            events,
            commits,
            subscriptions,
        }))
    }

    /// Changes were answered with this outcome.
    pub(super) fn answered(&self, outcome: &'static str, changes: u64) {
        if changes > 0 {
            CHANGES.of([outcome.into()]).increment(changes);
            if outcome == DURABLE {
                self.0.changes.fetch_add(changes, Ordering::Relaxed);
            }
        }
    }

    /// A commit of so many changes and events came to an end.
    pub(super) fn committed(&self, changes: usize, events: u64, took: Duration, position: i64) {
        self.0.commits.fetch_add(1, Ordering::Relaxed);
        self.0.events.fetch_add(events, Ordering::Relaxed);
        EVENTS.of([]).increment(events);
        COMMIT.of([]).record(took);
        #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 a gauge may round")]
        {
            GROUP.of([]).record(changes as f64);
            POSITION.of([]).set(position as f64);
        }
    }

    /// What was written is on the disk.
    pub(super) fn synced(&self, of: &'static str, took: Duration) {
        if self.0.durable {
            SYNC.of([of.into()]).record(took);
        }
    }

    /// The write-ahead log was folded.
    pub(super) fn folded(&self, by: &'static str, took: Duration) {
        FOLD.of([by.into()]).record(took);
    }

    /// A subscription begins; it ends when what this gives is dropped.
    pub(crate) fn subscription(&self) -> Subscription {
        SUBSCRIPTIONS.of([]).increment(1.0);
        self.0.subscriptions.fetch_add(1, Ordering::Relaxed);
        Subscription(self.clone())
    }

    /// A session of many appends begins; it ends when what this gives is dropped.
    pub(crate) fn session() -> Session {
        SESSIONS.of([]).increment(1.0);
        Session
    }

    pub(super) fn now(&self) -> Stats {
        let Counted { database, changes, events, commits, subscriptions, durable: _ } = &*self.0;
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        Stats {
            changes: changes.load(Ordering::Relaxed),
            events: events.load(Ordering::Relaxed),
            commits: commits.load(Ordering::Relaxed),
            subscriptions: subscriptions.load(Ordering::Relaxed),
            database_bytes: bytes(database),
            write_ahead_log_bytes: bytes(&log_of(database)),
        }
    }
}

/// A subscription under way.
#[derive(Debug)]
pub(crate) struct Subscription(Figures);

impl Drop for Subscription {
    fn drop(&mut self) {
        SUBSCRIPTIONS.of([]).decrement(1.0);
        self.0.0.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session of many appends under way.
#[derive(Debug)]
pub(crate) struct Session;

impl Drop for Session {
    fn drop(&mut self) {
        SESSIONS.of([]).decrement(1.0);
    }
}
