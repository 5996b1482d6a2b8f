//! Folding the write-ahead log into the database, on a thread beside the writer.
//!
//! A fold writes all over the file, and its fsync may keep a disk busy for most of a second: on the writer's thread every
//! append would wait for it. But SQLite begins the write-ahead log anew only when all of it is in the database, and a fold
//! beside somebody who writes does not get there. So the writer folds what came meanwhile by itself, when that is little.

use super::ahead::Ahead;
use super::failure::Stop;
use super::figures::Figures;
use super::{OpenError, schema};
use rusqlite::Connection;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// A fold beside the writer begins when so many pages, of 4 KiB, are not folded: 64 MiB. A page that was written often
/// meanwhile is folded once, and each fold's fsync holds up the commits beside it for a moment.
const DUE: i64 = 16 << 10;

/// So few the writer folds by itself.
const FEW: i64 = 256;

/// When the write-ahead log is so long, 256 MiB, the writer waits for the fold beside it and folds the rest by itself,
/// however much that is. So whoever appends faster than the disk folds is slowed down.
const MOST: i64 = 64 << 10;

/// The folding of one write-ahead log, as the writer sees it.
pub(super) struct Folding {
    next: Next,
    /// There is none if nothing has to be durable.
    ahead: Option<Ahead>,
    figures: Figures,
    orders: SyncSender<()>,
    folded: Receiver<Folded>,
    thread: JoinHandle<Option<File>>,
}

/// What is to come next.
enum Next {
    /// A fold beside the writer, when so many pages are not folded.
    When(i64),
    /// The end of the one that is under way.
    End,
}

/// How a fold ended.
enum Folded {
    /// All but so many pages of those that were there when it began are in the database. A reader that still sees the
    /// database as it was before those hinders the rest.
    But(i64),
    Failed,
}

impl Folding {
    /// Starts the thread, with a connection of its own.
    pub(super) fn start(path: &Path, durable: bool, stop: Stop, figures: Figures) -> Result<Self, OpenError> {
        let conn = schema::open_folder(path, durable)?;
        let unusable = |source| OpenError::Directory { dir: path.to_owned(), source };
        let file = if durable { Some(File::open(path).map_err(unusable)?) } else { None };
        // One fold at a time.
        let (orders, inbox) = sync_channel(1);
        let (outbox, folded) = sync_channel(1);
        let beside = Beside { conn, file, stop, figures: figures.clone() };
        let thread = std::thread::Builder::new()
            .name("event-log-folder".into())
            .spawn(move || beside.run(&inbox, &outbox))
            .map_err(OpenError::Thread)?;
        let ahead = durable.then(|| Ahead::of(path));
        Ok(Self { next: Next::When(DUE), ahead, figures, orders, folded, thread })
    }

    /// Folds what is due, after the writer's connection committed or failed to.
    pub(super) fn go_on(&mut self, writer: &Connection, committed: bool) -> rusqlite::Result<()> {
        let Pages { log, unfolded } = checkpoint(writer, "NOOP")?;
        if let (Some(ahead), true) = (&mut self.ahead, committed) {
            ahead.keep(writer, log);
        }
        self.next = match self.next {
            Next::When(due) if unfolded < due => return Ok(()),
            Next::When(_) => self.fold_beside(),
            Next::End => match self.end_of_fold(log >= MOST) {
                None => return Ok(()),
                Some(Folded::Failed) => Next::When(unfolded + DUE),
                // The fold found nobody writing, and the log has begun anew since.
                Some(_) if log <= FEW => Next::When(DUE),
                // It begins anew only if nobody reads just then: where somebody did, that is tried again soon.
                Some(_) if log >= MOST => Next::When(self.fold_here(writer)? + FEW),
                Some(_) if unfolded <= FEW => Next::When(self.fold_here(writer)? + DUE),
                Some(Folded::But(left)) if left > FEW => Next::When(unfolded + DUE),
                Some(_) => self.fold_beside(),
            },
        };
        Ok(())
    }

    fn fold_beside(&self) -> Next {
        // Were the thread gone, the writer would fold by itself when the log is long.
        let _ = self.orders.send(());
        Next::End
    }

    /// How the fold under way ended, if it has, or as soon as it has.
    fn end_of_fold(&self, wait: bool) -> Option<Folded> {
        let folded = if wait { self.folded.recv().map_err(Into::into) } else { self.folded.try_recv() };
        match folded {
            Ok(folded) => Some(folded),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Folded::But(0)),
        }
    }

    /// Folds on this thread; gives how many pages are left.
    fn fold_here(&self, writer: &Connection) -> rusqlite::Result<i64> {
        let began = Instant::now();
        let left = fold(writer)?;
        self.figures.folded("writer", began.elapsed());
        Ok(left)
    }

    /// Ends the thread. What it gives is to be dropped after the last connection: the system releases SQLite's locks on the
    /// database as soon as this process closes any handle of it.
    pub(super) fn end(self) -> Option<File> {
        drop(self.orders);
        self.thread.join().ok().flatten()
    }
}

/// What folds beside the writer.
struct Beside {
    conn: Connection,
    /// The database, to be synced. There is none if nothing has to be durable.
    file: Option<File>,
    stop: Stop,
    figures: Figures,
}

impl Beside {
    fn run(self, inbox: &Receiver<()>, outbox: &SyncSender<Folded>) -> Option<File> {
        while inbox.recv().is_ok() {
            let began = Instant::now();
            let folded = self.fold();
            self.figures.folded("folder", began.elapsed());
            // An error means that the writer is closing.
            let _ = outbox.send(folded);
        }
        self.file
    }

    /// SQLite syncs the database when all of the log is in it, so that with a writer beside this fold it does not. It is
    /// synced here, or the writer would have to do it.
    fn fold(&self) -> Folded {
        if self.stop.reason().is_some() {
            return Folded::Failed;
        }
        let left = match fold(&self.conn) {
            Ok(left) => left,
            Err(error) => {
                self.stop.judge(&error);
                return Folded::Failed;
            }
        };
        let written = Instant::now();
        match self.file.as_ref().map_or(Ok(()), File::sync_data) {
            Ok(()) => {
                self.figures.synced("database", written.elapsed());
                Folded::But(left)
            }
            Err(error) => {
                self.stop.because_of(&error);
                Folded::Failed
            }
        }
    }
}

/// Folds what no reader hinders to be folded; gives how many pages of those that were there are left.
pub(super) fn fold(conn: &Connection) -> rusqlite::Result<i64> {
    Ok(checkpoint(conn, "PASSIVE")?.unfolded)
}

/// The write-ahead log: how many pages it has, and how many of them are not in the database.
struct Pages {
    log: i64,
    unfolded: i64,
}

/// Has SQLite fold, or not. While another program does it, all is taken for folded.
fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<Pages> {
    conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?.query_row((), |row| {
        let (log, folded): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(Pages { log, unfolded: log - folded })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits one row after the other, until the log begins anew or so many pages are written; answers whether it did.
    fn begins_anew(writer: &Connection, folding: &mut Folding, pages: i64) -> bool {
        let (mut written, mut before) = (0, 0);
        while written < pages {
            writer.execute("INSERT INTO filler VALUES (zeroblob(1 << 20))", ()).unwrap();
            let log = checkpoint(writer, "NOOP").unwrap().log;
            if log < before {
                return true;
            }
            written += log - before;
            before = log;
            folding.go_on(writer, true).unwrap();
        }
        false
    }

    #[test]
    fn the_log_begins_anew_while_somebody_writes_unless_a_reader_hinders_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.sqlite");
        let writer = schema::open_writer(&path, None).unwrap();
        schema::set_durable(&writer, false).unwrap();
        writer.execute("CREATE TABLE filler (bytes BLOB)", ()).unwrap();
        let (stop, stopped) = Stop::new();
        let mut folding = Folding::start(&path, false, stop, Figures::new(&path, false)).unwrap();

        let reader = schema::open_reader(&path).unwrap();
        let snapshot = reader.unchecked_transaction().unwrap();
        let seen: i64 = snapshot.query_row("SELECT count(*) FROM filler", (), |row| row.get(0)).unwrap();
        assert_eq!(seen, 0);
        assert!(!begins_anew(&writer, &mut folding, 2 * DUE), "the reader sees what it saw");
        drop(snapshot);
        assert!(begins_anew(&writer, &mut folding, 2 * MOST), "nobody hinders it any more");

        let handle = folding.end();
        assert_eq!((fold(&writer).unwrap(), handle.is_none()), (0, true));
        assert_eq!(*stopped.borrow(), None);
    }
}
