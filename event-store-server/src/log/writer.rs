//! The one thread that writes. It takes whatever appends are waiting, commits them as one transaction and then
//! answers them all: a single fsync serves everybody who waited for it.

use super::change::{Change, Changed, place};
use super::decide::Place;
use super::event::Position;
use super::failure::{ChangeError, Stop};
use super::figures::{DURABLE, Figures};
use super::fold::{self, Folding};
use super::inbox::{Inbox, Order, Outcome, Reply};
use super::link::Links;
use super::read_all::{self, AllFrom};
use super::reader::{Limit, ReadError};
use super::staged::{Memory, Staged};
use super::two_generations::TwoGenerations;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use service_kit::Lock;
use std::time::Instant;
use tokio::sync::watch;
use uuid::Uuid;

/// One transaction takes at most so many appends, and no further one once it has so many bytes.
const TRANSACTION_APPENDS: usize = 512;
const TRANSACTION_BYTES: usize = 8 << 20;

/// So many bytes of streams' heads, and so many events' ids, are remembered at least.
const REMEMBERED_HEADS: usize = 8 << 20;
const REMEMBERED_IDS: usize = 64 << 10;

/// What a head takes in memory beside the stream's name, about.
const HEAD: usize = 64;

/// The writer's thread.
pub(super) struct Writer {
    conn: Connection,
    memory: Memory,
    /// When the last event was created, in ticks: no later one is to seem older, whatever the clock does.
    created: i64,
    committed: watch::Sender<Position>,
    folding: Folding,
    figures: Figures,
    stop: Stop,
}

impl Writer {
    /// Takes up the log where it ends. Recent ids are read back, so that a repeat is recognised across a restart.
    pub(super) fn new(
        conn: Connection,
        committed: watch::Sender<Position>,
        stop: Stop,
        folding: Folding,
        figures: Figures,
    ) -> rusqlite::Result<Self> {
        let last: Option<Position> =
            conn.query_row("SELECT max(position) FROM events", (), |row| row.get(0))?;
        let last = last.unwrap_or(0);
        committed.send_replace(last);
        let mut memory = Memory {
            heads: TwoGenerations::new(REMEMBERED_HEADS, |name| HEAD + name.len()),
            recent: TwoGenerations::new(REMEMBERED_IDS, |_| 1),
        };
        let mut statement = conn.prepare(
            "SELECT id, stream, revision, position FROM events WHERE position > ?1 ORDER BY position",
        )?;
        let mut rows = statement.query([last - i64::try_from(REMEMBERED_IDS).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let place = Place { revision: row.get(2)?, position: row.get(3)? };
            memory.recent.insert((row.get(1)?, Uuid::from_bytes(row.get(0)?)), place);
        }
        drop(rows);
        drop(statement);
        let created = last_created(&conn)?;
        Ok(Self { conn, memory, created, committed, folding, figures, stop })
    }

    /// Works until it is told to close, or nobody is left to tell it; then it lets go of the directory.
    pub(super) fn run(mut self, mut inbox: Inbox, lock: Lock) {
        let mut closing = None;
        let mut batch = Vec::new();
        while let Some(order) = inbox.next() {
            let mut next = Some(order);
            let mut bytes = 0;
            while let Some(order) = next.take() {
                match order {
                    // A caller that has gone away must not be surprised by an event it gave up on.
                    Order::Change { reply, .. } if reply.is_closed() => {}
                    Order::Change { change, reply } => {
                        bytes += change.size();
                        batch.push((change, reply));
                    }
                    Order::Close { done } => {
                        inbox.close();
                        closing = Some(done);
                    }
                }
                if batch.len() < TRANSACTION_APPENDS && bytes < TRANSACTION_BYTES {
                    next = inbox.another();
                }
            }
            self.commit_and_answer(&mut batch);
        }
        self.close();
        drop(lock);
        if let Some(done) = closing {
            // An error means that nobody waits for the end any more.
            let _ = done.send(());
        }
    }

    fn commit_and_answer(&mut self, batch: &mut Vec<(Change, Reply)>) {
        if batch.is_empty() {
            return;
        }
        let stop = self.stop.clone();
        let outcome = match stop.reason() {
            Some(reason) => Err(ChangeError::Stopped(reason)),
            None => stop.watch(|| self.commit(batch)),
        };
        let committed = outcome.is_ok();
        // A caller that went away in the meantime does not want its answer: not an error of ours.
        match outcome {
            Ok(answers) => {
                self.count(&answers);
                for ((change, reply), answer) in batch.drain(..).zip(answers) {
                    drop(change);
                    let _ = reply.send(answer);
                }
            }
            Err(error) => {
                self.figures.answered("failed", batch.len() as u64);
                for (change, reply) in batch.drain(..) {
                    drop(change);
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
        if self.stop.reason().is_none()
            && let Err(error) = self.folding.go_on(&self.conn, committed)
        {
            self.stop.judge(&error);
        }
    }

    /// Folds what is left. After a failure nothing is folded, by SQLite neither: what the disk lost may be in the
    /// write-ahead log only, to be found by the next start.
    fn close(self) {
        let Self { conn, folding, stop, .. } = self;
        let handle = folding.end();
        if stop.reason().is_none()
            && let Err(error) = fold::fold(&conn)
        {
            stop.judge(&error);
        }
        if stop.reason().is_some()
            && let Err(error) = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(%error, "SQLite cannot be told to leave the write-ahead log as it is");
        }
        drop(conn);
        drop(handle);
    }

    /// Decides and writes a batch as one transaction. On an error nothing of it has happened, here or in the file.
    fn commit(&mut self, batch: &[(Change, Reply)]) -> rusqlite::Result<Vec<Outcome>> {
        let started = Instant::now();
        let tx = rusqlite::Transaction::new_unchecked(&self.conn, rusqlite::TransactionBehavior::Immediate)?;
        let last_position = *self.committed.borrow();
        let created = service_kit::clock::unix_micros().saturating_mul(10).max(self.created);
        let mut staged = Staged::new(&self.conn, &mut self.memory, last_position, created);
        let answers = batch
            .iter()
            .map(|(change, _)| match place(change, &mut staged) {
                Ok(changed) => Ok(Ok(changed)),
                Err(ReadError::Failed(error)) => Err(error),
                // Found before anything was written: only this change fails.
                Err(error) => Ok(Err(ChangeError::Damaged(error.to_string().into()))),
            })
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let position = staged.last_position();
        if position > last_position {
            // The pages go to the system's memory first, which takes no time beside the fdatasync that follows.
            let decided = Instant::now();
            tx.commit()?;
            self.figures.synced("log", decided.elapsed());
            self.committed.send_replace(position);
            self.created = created;
            let events = (position - last_position).cast_unsigned();
            let durable = answers.iter().filter(|answer| is_durable(answer)).count();
            self.figures.committed(durable, events, started.elapsed(), position);
        }
        staged.keep();
        Ok(answers)
    }

    fn count(&self, answers: &[Outcome]) {
        let count = |of: fn(&Outcome) -> bool| answers.iter().filter(|answer| of(answer)).count() as u64;
        self.figures.answered(DURABLE, count(is_durable));
        let wrong = count(|answer| matches!(answer, Ok(Changed::WrongExpectedRevision { .. })));
        self.figures.answered("wrong-expected-revision", wrong);
        self.figures.answered("stream-deleted", count(|answer| matches!(answer, Ok(Changed::StreamDeleted))));
        self.figures.answered("failed", count(|answer| answer.is_err()));
    }
}

fn is_durable(answer: &Outcome) -> bool {
    matches!(answer, Ok(Changed::Durable { .. }))
}

/// When the last event was created. One that is damaged does not say it, and keeps nobody from appending.
fn last_created(conn: &Connection) -> rusqlite::Result<i64> {
    let limit = Limit { events: 1, considered: 1, bytes: 1 };
    match read_all::page(conn, AllFrom::Before(Position::MAX), None, limit, Links::Keep) {
        Ok(page) => Ok(page.events.last().map_or(0, |event| event.original().created)),
        Err(ReadError::Failed(error)) => Err(error),
        Err(error) => {
            tracing::error!(%error, "the last event does not say when it was created");
            Ok(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::placed_at;
    use super::super::decide::ExpectedRevision;
    use super::super::read_stream::{StreamFrom, StreamPage};
    use super::super::{DATABASE, Log};
    use super::*;
    use std::path::Path;

    #[tokio::test]
    async fn of_an_append_that_fails_halfway_nothing_is_left_whatever_the_failure_is() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(dir.path(), None, false).unwrap();
        // To SQLite, an overflow is an error like that of a table which is not as it was.
        let trigger = "CREATE TRIGGER broken BEFORE INSERT ON events WHEN NEW.revision = 1
                       BEGIN SELECT abs(-9223372036854775807 - 1); END";
        Connection::open(dir.path().join(DATABASE)).unwrap().execute_batch(trigger).unwrap();
        let failed = log.change(Change::append("a", [1, 2])).await;
        assert!(matches!(failed, Err(ChangeError::Stopped(_))), "{failed:?}");
        let limit = Limit { events: 10, considered: 10, bytes: 1 << 10 };
        let page = log.read_stream("a".into(), StreamFrom::Forwards(0), limit, Links::Keep).await.unwrap();
        assert!(matches!(page, StreamPage::Missing { .. }), "{page:?}");
        log.close().await;
    }

    #[tokio::test]
    async fn a_store_that_is_killed_before_its_first_commit_opens_again() {
        let (dir, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let log = Log::open(dir.path(), None, true).unwrap();
        // Nothing is written for it. When the second is answered, all that the first brought about is done.
        for _ in 0..2 {
            let refused = Change { expected: ExpectedRevision::Exact(7), ..Change::append("a", [1]) };
            let answer = log.change(refused).await.unwrap();
            assert!(matches!(answer, Changed::WrongExpectedRevision { .. }), "{answer:?}");
        }
        for file in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), left.path().join(file.file_name())).unwrap();
        }
        log.close().await;
        let log = Log::open(left.path(), None, true).unwrap();
        log.change(Change::append("a", [1])).await.unwrap();
        log.close().await;
    }

    /// When the events of the log were created, after two more were appended.
    async fn created_with(dir: &Path, two_more: [u128; 2]) -> Vec<i64> {
        let log = Log::open(dir, None, false).unwrap();
        for id in two_more {
            log.change(Change::append("a", [id])).await.unwrap();
        }
        log.close().await;
        let conn = Connection::open(dir.join(DATABASE)).unwrap();
        let mut created = conn.prepare("SELECT created FROM events ORDER BY position").unwrap();
        let created = created.query_map((), |row| row.get(0)).unwrap();
        created.collect::<Result<_, _>>().unwrap()
    }

    #[tokio::test]
    async fn an_event_is_never_older_than_the_one_before_though_the_clock_was_set_back_before_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let in_a_day = (service_kit::clock::unix_micros() + 86_400_000_000) * 10;
        placed_at(&dir.path().join(DATABASE), [(in_a_day, Change::append("a", [1]))]);
        assert_eq!(created_with(dir.path(), [2, 3]).await, [in_a_day; 3]);

        // A time that is damaged is not handed on.
        let conn = Connection::open(dir.path().join(DATABASE)).unwrap();
        conn.execute("UPDATE events SET created = ?1 WHERE position = 3", [i64::MAX]).unwrap();
        drop(conn);
        let [.., fourth, fifth] = created_with(dir.path(), [4, 5]).await[..] else { panic!("two more") };
        assert!(fourth <= fifth && fifth < in_a_day, "{fourth} {fifth}");
    }
}
