//! The log: every event, in the order of its commit, in one SQLite file.
//!
//! One thread writes ([`writer`]), one beside it folds the write-ahead log into the database ([`fold`]), a few connections
//! read ([`reader`]), and a watched number, the position of the last committed event, tells those who wait for more.

mod ahead;
mod change;
mod check;
mod copy;
pub(crate) mod decide;
pub(crate) mod event;
mod failure;
mod figures;
pub(crate) mod filter;
mod fold;
mod inbox;
mod intact;
mod link;
mod read_all;
mod read_stream;
mod reader;
mod row;
mod scavenge;
mod schema;
mod staged;
mod stream_metadata;
mod two_generations;
mod visible;
mod writer;

pub(crate) use change::{Change, Changed, What};
pub(crate) use check::check;
pub use check::{CheckReport, MaintenanceError};
pub(crate) use copy::{backup, restore};
pub(crate) use decide::ExpectedRevision;
pub(crate) use event::{Position, ProposedEvent, RecordedEvent, Revision};
pub(crate) use failure::ChangeError;
pub(crate) use figures::{Figures, Stats};
pub(crate) use filter::Filter;
pub(crate) use link::{Links, Resolved};
pub(crate) use read_all::{AllFrom, AllPage};
pub(crate) use read_stream::{StreamFrom, StreamPage};
pub(crate) use reader::{Limit, ReadError};
pub use scavenge::Scavenged;
pub(crate) use scavenge::scavenge;

use crate::{TlsError, UsersError};
use failure::Stop;
use fold::Folding;
use inbox::Orders;
use reader::Readers;
use service_kit::Lock;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;
use writer::Writer;

/// The database's name in its directory.
const DATABASE: &str = "events.sqlite";

/// The file in its directory that a server has locked as long as it lives.
pub(crate) const LOCK: &str = "lock";

/// How long to wait before trying again to lock it.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has it open.
    #[error("the data directory {} is in use by another event store server; stop that one first, or choose another directory", .0.display())]
    Locked(PathBuf),
    /// It was written by a later version of this program.
    #[error("{} has layout {found}, which is newer than the {supported} that this version knows; use the newer version", .path.display())]
    Version {
        /// The database file.
        path: PathBuf,
        /// The layout it has.
        found: i32,
        /// The newest layout that this program knows.
        supported: i32,
    },
    /// The directory cannot be used.
    #[error("the data directory {} cannot be used: {source}", .dir.display())]
    Directory {
        /// The data directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database does not agree with itself.
    #[error("the database file is damaged: {0}; restore the store from a backup")]
    Damaged(String),
    /// The write-ahead log ends before all that was committed to it.
    #[error(
        "the write-ahead log {} is damaged: only its first {whole} bytes are whole, and acknowledged events behind them would be lost. \
         Nothing was changed. Restore the store from a backup; docs/runbooks/backup-and-restore.md says how to go on without one",
        .log.display()
    )]
    DamagedLog {
        /// The write-ahead log.
        log: PathBuf,
        /// So many bytes are as they were written.
        whole: u64,
    },
    /// The database cannot be used.
    #[error("the database of the event store cannot be opened: {0}")]
    Database(#[from] rusqlite::Error),
    /// TLS cannot be spoken as configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The users cannot be read.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// No thread could be started for the writer.
    #[error("the event store's writer cannot be started: {0}")]
    Thread(io::Error),
}

/// An open log. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: Uuid,
    orders: Orders,
    committed: watch::Receiver<Position>,
    stopped: watch::Receiver<Option<Arc<str>>>,
    figures: Figures,
    readers: Readers,
}

impl Log {
    /// Opens the log in `dir`, making both if there are none, and locks it against every other process.
    pub(crate) fn open(dir: &Path, max_store_bytes: Option<u64>, durable: bool) -> Result<Self, OpenError> {
        let lock = lock(dir)?;
        let path = dir.join(DATABASE);
        // Without a promise to keep, commits are not synced one after the other.
        if durable {
            intact::verify(&path)?;
        }
        let conn = schema::open_writer(&path, max_store_bytes)?;
        schema::set_durable(&conn, durable)?;
        let id = schema::store_id(&conn)?;
        let (committed, watched) = watch::channel(0);
        let (stop, stopped) = Stop::new();
        let figures = Figures::new(&path, durable);
        let folding = Folding::start(&path, durable, stop.clone(), figures.clone())?;
        let writer = Writer::new(conn, committed, stop, folding, figures.clone())?;
        let readers = Readers::open(&path)?;
        let (orders, inbox) = inbox::orders();
        std::thread::Builder::new()
            .name("event-log-writer".into())
            .spawn(move || writer.run(inbox, lock))
            .map_err(OpenError::Thread)?;
        let shared = Shared { id, orders, committed: watched, stopped, figures, readers };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The identity of this store, given when it was made.
    pub(crate) fn id(&self) -> Uuid {
        self.shared.id
    }

    /// Changes a stream. When this returns, the change is on the disk, or nothing was changed, or the error says that the
    /// outcome is not known.
    pub(crate) async fn change(&self, change: Change) -> Result<Changed, ChangeError> {
        self.shared.orders.change(change).await
    }

    /// The position of the last committed event (0: none), to read and to wait for.
    pub(crate) fn committed(&self) -> watch::Receiver<Position> {
        self.shared.committed.clone()
    }

    /// Why nothing is accepted any more, if that is so: to read and to wait for.
    pub(crate) fn stopped(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.shared.stopped.clone()
    }

    /// What is counted.
    pub(crate) fn figures(&self) -> &Figures {
        &self.shared.figures
    }

    /// What was counted until now.
    pub(crate) fn stats(&self) -> Stats {
        self.shared.figures.now()
    }

    /// A page of `$all`.
    pub(crate) async fn read_all(
        &self,
        from: AllFrom,
        filter: Option<Arc<Filter>>,
        limit: Limit,
        links: Links,
    ) -> Result<AllPage, ReadError> {
        self.shared
            .readers
            .read(move |conn| read_all::page(conn, from, filter.as_deref(), limit, links))
            .await
    }

    /// A page of a stream.
    pub(crate) async fn read_stream(
        &self,
        stream: Arc<str>,
        from: StreamFrom,
        limit: Limit,
        links: Links,
    ) -> Result<StreamPage, ReadError> {
        self.shared.readers.read(move |conn| read_stream::page(conn, &stream, from, limit, links)).await
    }

    /// Commits what was accepted, folds the write-ahead log into the database and lets go of the directory.
    pub(crate) async fn close(&self) {
        // Readers first: the connection that closes last folds the write-ahead log and removes it.
        self.shared.readers.close();
        self.shared.orders.close().await;
    }
}

/// Takes the lock that keeps a second server out. The system releases it when the process ends, however it ends.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is served yet, and nobody tells that a file is not locked any more"
)]
fn lock(dir: &Path) -> Result<Lock, OpenError> {
    let mut told = false;
    lock_alone(dir, || {
        if !std::mem::replace(&mut told, true) {
            tracing::info!(
                data_dir = %dir.display(),
                "`check` or `backup` reads the write-ahead log that was left; waiting until it has"
            );
        }
        std::thread::sleep(LOCK_POLL);
    })
}

/// Waits for those who share the lock, which is for a short time, and not for who has it alone.
fn lock_alone(dir: &Path, mut wait: impl FnMut()) -> Result<Lock, OpenError> {
    let unusable = |source| OpenError::Directory { dir: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    // A directory that was just made survives a power cut only when its parent is on the disk.
    if let Some(parent) = dir.canonicalize().map_err(unusable)?.parent() {
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(unusable)?;
    }
    let path = dir.join(LOCK);
    loop {
        if let Some(lock) = Lock::acquire(&path).map_err(unusable)? {
            return Ok(lock);
        }
        if Lock::share(&path).map_err(unusable)?.is_none() {
            return Err(OpenError::Locked(dir.to_owned()));
        }
        wait();
    }
}

/// The file beside another one whose name goes on so.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_waits_for_who_reads_what_was_left_and_not_for_another_server() {
        let dir = tempfile::tempdir().unwrap();
        let mut reading = Lock::share(&dir.path().join(LOCK)).unwrap();
        assert!(reading.is_some());
        let server = lock_alone(dir.path(), || reading = None).unwrap();
        assert!(reading.is_none(), "it was not waited for");
        let second = lock_alone(dir.path(), || panic!("a server is waited for"));
        assert!(matches!(second, Err(OpenError::Locked(_))), "{second:?}");
        drop(server);
    }

    #[tokio::test]
    async fn the_first_event_is_missed_in_either_direction_unless_it_was_scavenged() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(dir.path(), None, false).unwrap();
        log.change(Change::append("a", 1..=3)).await.unwrap();
        log.change(Change::append_typed("links", event::LINK_TYPE, "0@a")).await.unwrap();
        let database = rusqlite::Connection::open(dir.path().join(DATABASE)).unwrap();
        let limit = Limit { events: 10, considered: 10, bytes: 1 << 10 };
        let in_stream = [
            StreamFrom::Forwards(0),
            StreamFrom::ThroughTombstone(0),
            StreamFrom::Backwards(0),
            StreamFrom::Backwards(1),
            StreamFrom::Backwards(Revision::MAX),
        ];
        let in_all = [AllFrom::After(0), AllFrom::Before(3), AllFrom::Before(Position::MAX)];

        database.execute("DELETE FROM events WHERE position = 1", ()).unwrap();
        for from in in_stream {
            let page = log.read_stream("a".into(), from, limit, Links::Keep).await;
            assert!(matches!(page, Err(ReadError::Missing { .. })), "{from:?}: {page:?}");
        }
        let link = || log.read_stream("links".into(), StreamFrom::Forwards(0), limit, Links::Resolve);
        let page = link().await;
        assert!(matches!(page, Err(ReadError::Missing { revision: 0, .. })), "a link to it: {page:?}");
        for from in in_all {
            let page = log.read_all(from, None, limit, Links::Keep).await;
            assert!(
                matches!(page, Err(ReadError::MissingFromLog { first: 1, last: 1 })),
                "{from:?}: {page:?}"
            );
        }
        database.execute("INSERT INTO gaps (first, last) VALUES (1, 1)", ()).unwrap();
        for from in in_stream {
            log.read_stream("a".into(), from, limit, Links::Keep).await.unwrap();
        }
        link().await.unwrap();
        for from in in_all {
            log.read_all(from, None, limit, Links::Keep).await.unwrap();
        }
        log.close().await;
    }
}
