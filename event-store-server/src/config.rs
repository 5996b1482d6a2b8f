//! What can be set.

use crate::log::LOCK;
use crate::tls::Tls;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the events are kept; made if it is missing. One server at a time.
    pub data_dir: PathBuf,
    /// What callers may ask for at most.
    pub limits: Limits,
    /// Acknowledge what clients send at once (Linux only). Clients that leave Nagle's algorithm on, as the crate
    /// `eventstore` does, otherwise wait 40 ms in each append.
    pub quickack: bool,
    /// The file with the users that may call. `None`: whoever reaches the server may.
    pub users: Option<PathBuf>,
    /// The certificate to speak TLS with. `None`: connections are plain.
    pub tls: Option<Tls>,
    /// Whether a commit waits for the disk. Only tests can do without.
    pub durable: bool,
    /// A directory that is removed when the server ends.
    pub temporary: Option<Arc<tempfile::TempDir>>,
}

impl Config {
    /// The defaults, with the events in `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            limits: Limits::default(),
            quickack: true,
            users: None,
            tls: None,
            durable: true,
            temporary: None,
        }
    }

    /// The defaults, with the events in memory: in a directory that is gone when the server ends, on the file system that
    /// Linux keeps in memory, if there is one.
    ///
    /// # Errors
    /// When no directory can be made.
    pub fn in_memory() -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        forget_the_dead(&place);
        let dir = tempfile::Builder::new().prefix(IN_MEMORY).tempdir_in(place)?;
        let data_dir = dir.path().to_owned();
        Ok(Self { durable: false, temporary: Some(Arc::new(dir)), ..Self::new(data_dir) })
    }
}

/// What the name of a directory begins with whose events are in memory only.
const IN_MEMORY: &str = "event-store-in-memory-";

/// A directory that is younger may belong to a server that is just starting, and has not locked it yet.
const YOUNG: Duration = Duration::from_secs(60);

/// Removes what servers left in memory that were killed. Where that fails, it stays.
fn forget_the_dead(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(IN_MEMORY));
        let old = || entry.metadata()?.modified()?.elapsed().map_err(io::Error::other);
        if ours && old().is_ok_and(|age| age > YOUNG) {
            // The lock is held as long as its server lives.
            if let Ok(Some(_lock)) = service_kit::Lock::acquire(&entry.path().join(LOCK)) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// What callers may ask for at most. A request beyond a limit is refused; it harms nobody else.
#[derive(Clone, Debug)]
pub struct Limits {
    /// One event: data, metadata and twice the type's length, in bytes.
    pub max_event_bytes: usize,
    /// All events of one append, in bytes.
    pub max_append_bytes: usize,
    /// All appends under way together, in bytes, with 256 for each event; beyond, the server says that it is too busy. As much
    /// again may be there of messages that have not come to their end; one connection may have a quarter of that.
    pub max_pending_bytes: usize,
    /// All that was read from the log, or answered in a session, and is not taken by the clients yet, in bytes, with 256 for
    /// each event. As much again may be taken by the filters that are read by. One connection may have a quarter of either.
    pub max_unread_bytes: usize,
    /// The name of a stream or of an event type, in bytes.
    pub max_name_bytes: usize,
    /// The database, in bytes; beyond, appends are refused as on a full disk. `None`: the disk is the limit.
    pub max_store_bytes: Option<u64>,
    /// How long an append may wait for its commit; after that its outcome is unknown to the caller. And how long the end of a
    /// request may be waited for, with a second more for each MiB that has come, and the last fragment of a batch; after that
    /// nothing is appended.
    pub write_timeout: Duration,
    /// Calls under way on one connection, subscriptions included.
    pub max_concurrent_streams: u32,
    /// How long a client may say nothing that can be answered: once while it agrees on TLS, and once after. And how long a
    /// call may wait for memory that others have. Twice as long it may take nothing of what is sent to it.
    pub silence: Duration,
    /// How long connections may take to end on shutdown before they are cut.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_event_bytes: 16 << 20,
            max_append_bytes: 64 << 20,
            max_pending_bytes: 256 << 20,
            max_unread_bytes: 256 << 20,
            max_name_bytes: 4096,
            max_store_bytes: None,
            write_timeout: Duration::from_secs(10),
            max_concurrent_streams: 4096,
            silence: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn what_a_killed_server_left_in_memory_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let made = ["dead", "alive", "young"].map(|name| {
            let dir = place.path().join(format!("{IN_MEMORY}{name}"));
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("events.sqlite"), "events").unwrap();
            dir
        });
        let other = place.path().join("of somebody else");
        fs::create_dir(&other).unwrap();
        let _alive = service_kit::Lock::acquire(&made[1].join(LOCK)).unwrap().unwrap();
        for dir in [&made[0], &made[1], &other] {
            let file = File::open(dir).unwrap();
            file.set_modified(file.metadata().unwrap().modified().unwrap() - 2 * YOUNG).unwrap();
        }
        forget_the_dead(place.path());
        assert_eq!(made.map(|dir| dir.exists()), [false, true, true]);
        assert!(other.exists());
    }
}
