//! The write-ahead log, filled with zeros ahead of its end.
//!
//! A sync of a file that grows writes the file's new length, too, which takes a disk about as long again as what was
//! committed. So the length is changed for many commits at once, and the commits overwrite zeros. For SQLite these are
//! pages that are not part of the log: whatever reads it ends at the first page whose salt and checksum are not the log's.

use super::beside;
use super::schema::BUSY_TIMEOUT;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A page in the log with its header, and the header of the log, in bytes
/// (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).
const PAGE: u64 = 4096 + 24;
const HEADER: u64 = 32;

/// So much is filled at once. The commit that comes next writes it to the disk with its own pages: little enough that it
/// takes hardly longer for it.
const STEP: u64 = 256 << 10;

/// What a commit may write, usually: when less is left, the next step is due.
const LEFT: u64 = 64 << 10;

/// Up to this length: no more is kept when the log begins anew (`journal_size_limit` in `schema`).
const MOST: u64 = 128 << 20;

/// The zeros ahead of one write-ahead log. Only the one thread that writes may fill them.
#[derive(Debug)]
pub(super) struct Ahead {
    log: PathBuf,
    file: Option<File>,
    /// How long the file is at least.
    bytes: u64,
}

impl Ahead {
    pub(super) fn of(database: &Path) -> Self {
        Self { log: log_of(database), file: None, bytes: 0 }
    }

    /// Fills the next step when it is due, with the log so many pages long. Where that fails (the disk is full, say), commits
    /// are slower, nothing else.
    pub(super) fn keep(&mut self, writer: &Connection, pages: i64) {
        let end = HEADER + PAGE * pages.unsigned_abs() + LEFT;
        // A log without a page has no header, either: zeros in its place are what a damaged log begins with.
        if pages == 0 || end <= self.bytes || end > MOST {
            return;
        }
        let filled = alone(writer)
            .map_err(|error| error.to_string())
            .and_then(|_alone| self.fill(end).map_err(|error| error.to_string()));
        if let Err(error) = filled {
            tracing::debug!(error, "the write-ahead log is not filled ahead");
            self.bytes = end + STEP;
        }
    }

    fn fill(&mut self, end: u64) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().write(true).open(&self.log)?),
        };
        let bytes = file.metadata()?.len();
        self.bytes = bytes.max(end.next_multiple_of(STEP));
        let zeros = usize::try_from(self.bytes - bytes).unwrap_or(0);
        file.write_all_at(&vec![0; zeros], bytes)
    }
}

/// A transaction: while it lasts nobody else can write to the log. Who does so now is not waited for.
fn alone(writer: &Connection) -> rusqlite::Result<Transaction<'_>> {
    writer.busy_timeout(Duration::ZERO)?;
    let begun = Transaction::new_unchecked(writer, TransactionBehavior::Immediate);
    writer.busy_timeout(BUSY_TIMEOUT)?;
    begun
}

/// The write-ahead log of a database.
pub(super) fn log_of(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use std::fs;

    fn pages(writer: &Connection) -> i64 {
        writer.query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| row.get(1)).unwrap()
    }

    #[test]
    fn what_is_committed_over_zeros_is_there_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.sqlite");
        let writer = schema::open_writer(&path, None).unwrap();
        writer.execute("CREATE TABLE filler (bytes BLOB)", ()).unwrap();
        let mut ahead = Ahead::of(&path);
        let (mut grown, mut before) = (0, 0);
        for _ in 0..100 {
            ahead.keep(&writer, pages(&writer));
            let length = fs::metadata(log_of(&path)).unwrap().len();
            grown += i32::from(length > before);
            before = length;
            writer.execute("INSERT INTO filler VALUES (randomblob(10000))", ()).unwrap();
        }
        let used = HEADER + PAGE * pages(&writer).unsigned_abs();
        assert!(used < before, "the log ends among zeros: {used} of {before} bytes");
        assert!((2..20).contains(&grown), "it became longer {grown} times for 100 commits");

        // The files as a power failure would leave them.
        let crashed = dir.path().join("crashed.sqlite");
        fs::copy(&path, &crashed).unwrap();
        fs::copy(log_of(&path), log_of(&crashed)).unwrap();
        let opened = schema::open_writer(&crashed, None).unwrap();
        let rows: i64 = opened.query_row("SELECT count(*) FROM filler", (), |row| row.get(0)).unwrap();
        assert_eq!(rows, 100);
        schema::verify(&opened).unwrap();
    }

    #[test]
    fn a_log_that_cannot_be_filled_is_written_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.sqlite");
        let writer = schema::open_writer(&path, None).unwrap();
        let mut ahead = Ahead::of(&dir.path().join("of another.sqlite"));
        ahead.keep(&writer, 1);
        ahead.keep(&writer, 2);
        assert!(writer.is_autocommit(), "no transaction is left open");
        writer.execute("INSERT INTO streams (name) VALUES ('a')", ()).unwrap();
    }
}
