//! Gives the space back of events that no reader of their streams can see any more.
//!
//! The last event of a stream stays, whatever its metadata says: the stream's numbering goes on from it. The positions
//! that have no event any more are written down, so that readers of `$all` can tell them from events that are lost.

use super::check::{MaintenanceError, database_in, is_scavenged};
use super::event::{Position, Revision};
use super::reader::ReadError;
use super::{lock, schema, visible};
use rusqlite::Connection;
use std::path::Path;

/// What was reclaimed.
#[derive(Clone, Copy, Debug)]
pub struct Scavenged {
    /// How many events are gone.
    pub reclaimed: u64,
    /// How many there still are.
    pub left: u64,
    /// The size of the database before.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
}

/// Scavenges the store in `data_dir`, in one transaction.
pub(crate) fn scavenge(data_dir: &Path) -> Result<Scavenged, MaintenanceError> {
    let path = database_in(data_dir)?;
    let _lock = lock(data_dir)?;
    let damaged =
        |error: ReadError| MaintenanceError::Damaged { path: path.clone(), what: error.to_string() };
    let conn = schema::open_writer(&path, None)?;
    let bytes = || std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let bytes_before = bytes();
    let tx = conn.unchecked_transaction()?;
    nothing_is_missing(&tx).map_err(damaged)?;
    let mut reclaimed = 0;
    {
        let mut names = tx.prepare("SELECT id, name FROM streams")?;
        let mut rows = names.query(())?;
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            let Some(first) = visible::first_kept(&tx, &name).map_err(damaged)? else { continue };
            reclaimed += remove(&tx, id, first)?;
        }
    }
    if reclaimed > 0 {
        write_gaps_down(&tx)?;
    }
    let left: i64 = tx.query_row("SELECT count(*) FROM events", (), |row| row.get(0))?;
    tx.commit()?;
    if reclaimed > 0 {
        conn.execute_batch("VACUUM")?;
    }
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    let left = left.cast_unsigned();
    Ok(Scavenged { reclaimed, left, bytes_before, bytes_after: bytes() })
}

fn remove(conn: &Connection, stream: i64, first_kept: Revision) -> rusqlite::Result<u64> {
    let mut delete = conn.prepare_cached("DELETE FROM events WHERE stream = ?1 AND revision < ?2")?;
    Ok(delete.execute((stream, first_kept))? as u64)
}

/// What is missing already must not be taken for scavenged afterwards.
fn nothing_is_missing(conn: &Connection) -> Result<(), ReadError> {
    let mut positions = conn.prepare("SELECT position FROM events ORDER BY position")?;
    let mut rows = positions.query(())?;
    let mut expected: Position = 1;
    while let Some(row) = rows.next()? {
        let position: Position = row.get(0)?;
        if position > expected && !is_scavenged(conn, expected, position - 1)? {
            return Err(ReadError::MissingFromLog { first: expected, last: position - 1 });
        }
        expected = position + 1;
    }
    Ok(())
}

/// All runs of positions without an event, up to the last event.
fn write_gaps_down(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM gaps", ())?;
    let mut positions = conn.prepare("SELECT position FROM events ORDER BY position")?;
    let mut insert = conn.prepare("INSERT INTO gaps (first, last) VALUES (?1, ?2)")?;
    let mut rows = positions.query(())?;
    let mut expected: Position = 1;
    while let Some(row) = rows.next()? {
        let position: Position = row.get(0)?;
        if position > expected {
            insert.execute((expected, position - 1))?;
        }
        expected = position + 1;
    }
    Ok(())
}
