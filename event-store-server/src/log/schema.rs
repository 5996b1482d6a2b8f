//! The database file: its tables, its settings, its version.

use super::OpenError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// The layout that this program writes, in SQLite's `user_version`.
const VERSION: i32 = 2;

/// How long a connection waits for a lock that another program took (a backup, someone's shell).
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// `position` is the row's key: an append goes to the end of the table, a read of `$all` is a scan of it.
/// There is no unique index over `id`: it would cost a third of the throughput, and retries are recognised by
/// revision or by the most recent ids.
const TABLES: &str = "
    CREATE TABLE store (
        id BLOB NOT NULL
    ) STRICT;
    CREATE TABLE streams (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE events (
        position INTEGER PRIMARY KEY,
        stream INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        id BLOB NOT NULL,
        created INTEGER NOT NULL,
        type TEXT NOT NULL,
        is_json INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        data BLOB NOT NULL,
        metadata BLOB NOT NULL,
        UNIQUE (stream, revision)
    ) STRICT;
";

/// What came with layout 2: which positions have no event any more, because they were scavenged. So a reader can tell
/// them from events that are lost.
const GAPS: &str = "
    CREATE TABLE gaps (
        first INTEGER PRIMARY KEY,
        last INTEGER NOT NULL
    ) STRICT;
";

/// Up to this size, in bytes, the whole database is checked whenever it is opened: that takes well under a second. In a larger
/// one, damage to the index that hides the last events of a stream is found by `check` only (ADR 0012).
const CHECKED_AT_OPEN: u64 = 32 << 20;

/// Opens the database for the one writer; creates it if there is none.
pub(super) fn open_writer(path: &Path, max_store_bytes: Option<u64>) -> Result<Connection, OpenError> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if bytes <= CHECKED_AT_OPEN {
        verify(&conn)?;
    }
    // A commit is on the disk when it returns. Checkpoints are made by the writer itself, which sees their errors;
    // SQLite's automatic ones would swallow a failed fsync.
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 134217728;
         PRAGMA cell_size_check = ON;
         PRAGMA cache_size = -16384;",
    )?;
    keep_plans(&conn)?;
    match version(&conn)? {
        0 => create(&conn)?,
        1 => migrate(&conn)?,
        VERSION => {}
        found => {
            return Err(OpenError::Version { path: path.to_owned(), found, supported: VERSION });
        }
    }
    // After a failed fsync the system may show what the disk does not hold. What was recovered from the write-ahead log is
    // written again, and synced, before anybody builds on it.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    if let Some(bytes) = max_store_bytes {
        let page_bytes: u64 =
            conn.query_row("PRAGMA page_size", (), |row| row.get::<_, i64>(0))?.cast_unsigned();
        conn.execute_batch(&format!("PRAGMA max_page_count = {}", (bytes / page_bytes).max(1)))?;
    }
    Ok(conn)
}

/// Opens the database for folding beside the writer.
pub(super) fn open_folder(path: &Path, durable: bool) -> Result<Connection, OpenError> {
    let conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA wal_autocheckpoint = 0;",
    )?;
    set_durable(&conn, durable)?;
    Ok(conn)
}

/// Without a promise to keep, nothing is synced.
pub(super) fn set_durable(conn: &Connection, durable: bool) -> rusqlite::Result<()> {
    if durable { Ok(()) } else { conn.execute_batch("PRAGMA synchronous = OFF") }
}

/// Opens the database for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.execute_batch("PRAGMA cache_size = -4096; PRAGMA cell_size_check = ON;")?;
    keep_plans(&conn)?;
    Ok(conn)
}

/// A statement is prepared once and keeps its plan, whatever values are bound to it: without the guarantee SQLite prepares
/// it anew at each position that it is asked for.
fn keep_plans(conn: &Connection) -> Result<(), OpenError> {
    conn.set_prepared_statement_cache_capacity(32);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// The identity that a store was given when it was made.
pub(super) fn store_id(conn: &Connection) -> Result<Uuid, OpenError> {
    let bytes: [u8; 16] = conn.query_row("SELECT id FROM store", (), |row| row.get(0))?;
    Ok(Uuid::from_bytes(bytes))
}

fn version(conn: &Connection) -> Result<i32, OpenError> {
    Ok(conn.query_row("PRAGMA user_version", (), |row| row.get(0))?)
}

fn create(conn: &Connection) -> Result<(), OpenError> {
    #[expect(clippy::disallowed_methods, reason = "what tells one store from all others has to be random")]
    let id = Uuid::new_v4();
    let tx = conn.unchecked_transaction()?;
    tx.execute_batch(TABLES)?;
    tx.execute_batch(GAPS)?;
    tx.execute("INSERT INTO store (id) VALUES (?1)", [id.as_bytes()])?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(())
}

fn migrate(conn: &Connection) -> Result<(), OpenError> {
    let tx = conn.unchecked_transaction()?;
    tx.execute_batch(GAPS)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    tracing::info!(layout = VERSION, "the database was brought to the layout of this version");
    Ok(())
}

/// Whether the database is in itself as SQLite left it: pages, tables, and indexes that agree with them.
pub(super) fn verify(conn: &Connection) -> Result<(), OpenError> {
    let mut statement = conn.prepare("PRAGMA integrity_check(1)")?;
    let found: String = statement.query_row((), |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(OpenError::Damaged(found)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_its_identity_and_refuses_a_newer_layout() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.sqlite");
        let first = store_id(&open_writer(&path, None).unwrap()).unwrap();
        let conn = open_writer(&path, None).unwrap();
        assert_eq!(store_id(&conn).unwrap(), first);

        conn.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let error = open_writer(&path, None).unwrap_err();
        assert!(error.to_string().contains("newer"), "{error}");
    }

    #[test]
    fn a_store_of_the_first_layout_is_opened_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(TABLES).unwrap();
        old.execute_batch(
            "INSERT INTO store (id) VALUES (x'00112233445566778899aabbccddeeff');
             INSERT INTO streams (name) VALUES ('a');
             PRAGMA user_version = 1;",
        )
        .unwrap();
        drop(old);
        for _ in 0..2 {
            let conn = open_writer(&path, None).unwrap();
            assert_eq!(version(&conn).unwrap(), VERSION);
            let name: String = conn.query_row("SELECT name FROM streams", (), |row| row.get(0)).unwrap();
            assert_eq!(name, "a");
            let gaps: i64 = conn.query_row("SELECT count(*) FROM gaps", (), |row| row.get(0)).unwrap();
            assert_eq!(gaps, 0);
        }
    }
}
