//! A whole list of one position, row by row, however long it is and however slowly it is taken.

use crate::desk::{Asked, Desk, STANDING, failed, late, standing};
use crate::generation::Schema;
use crate::list_sql::Parameter;
use crate::memory::Entry;
use crate::reader::{ReaderError, State};
use crate::view::View;
use deadpool_postgres::{Object, Transaction};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::IsolationLevel;

/// How many rows are handed over at once.
const ROWS: usize = 500;

/// How long PostgreSQL may take for each part, the first of which it may have to sort the list for.
const PART: Duration = Duration::from_secs(10);

/// How long whoever takes the rows may take for a part. After that the connection is needed elsewhere.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// How long a whole list may take. Until then PostgreSQL keeps all versions of all rows that it began with.
const ALL_TAKEN_WITHIN: Duration = Duration::from_mins(10);

/// The rows of a list.
#[derive(Debug)]
pub struct Rows<Row>(Source<Row>);

#[derive(Debug)]
enum Source<Row> {
    Memory(std::vec::IntoIter<Arc<Entry<Row>>>),
    Database {
        parts: mpsc::Receiver<Vec<Row>>,
        /// Whether the last of them was the last there is. It is told apart, since whoever takes no part hears of nothing.
        end: Option<oneshot::Receiver<Result<(), ReaderError>>>,
    },
}

impl<Row: Clone> Rows<Row> {
    pub(crate) fn in_memory(entries: Vec<Arc<Entry<Row>>>) -> Self {
        Self(Source::Memory(entries.into_iter()))
    }

    /// The next rows; nothing after the last.
    ///
    /// # Errors
    /// [`ReaderError`], after which nothing comes.
    pub async fn next(&mut self) -> Option<Result<Vec<Row>, ReaderError>> {
        match &mut self.0 {
            Source::Memory(entries) => {
                let rows: Vec<_> = entries.by_ref().take(ROWS).map(|entry| entry.row.clone()).collect();
                (!rows.is_empty()).then_some(Ok(rows))
            }
            Source::Database { parts, end } => {
                if let Some(rows) = parts.recv().await {
                    return Some(Ok(rows));
                }
                let cut_off = |_| Err(ReaderError::Unavailable("the list was cut off".to_owned()));
                end.take()?.await.unwrap_or_else(cut_off).err().map(Err)
            }
        }
    }
}

/// A statement for all rows of a list, and its parameters.
pub(crate) struct Whole {
    pub(crate) sql: Box<dyn Fn(Schema) -> String + Send + Sync>,
    pub(crate) parameters: Vec<Parameter>,
}

impl Desk {
    /// All of a list, over a connection of its own.
    pub(crate) async fn whole<V: View>(&self, list: Whole) -> Result<Asked<Rows<V::Row>>, ReaderError> {
        let (client, place) = self.client_for_long().await?;
        let (begun, beginning) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let (sender, parts) = mpsc::channel(2);
        tokio::spawn(async move {
            let handed_over = hand_over::<V>(client, &list, begun, sender).await;
            drop(place);
            if let Err(error) = &handed_over {
                tracing::warn!(%error, "a list was cut off");
            }
            let _ = ended.send(handed_over);
        });
        let state =
            beginning.await.map_err(|_| ReaderError::Unavailable("the list was not begun".to_owned()))??;
        Ok(Asked { value: Rows(Source::Database { parts, end: Some(end) }), state })
    }
}

type Begun = oneshot::Sender<Result<State, ReaderError>>;

async fn hand_over<V: View>(
    mut client: Object,
    list: &Whole,
    begun: Begun,
    sender: mpsc::Sender<Vec<V::Row>>,
) -> Result<(), ReaderError> {
    let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let beginning = async {
        let transaction = bounded(async {
            let transaction = begin.start().await?;
            transaction.batch_execute(&format!("SET LOCAL statement_timeout = {}", PART.as_millis())).await?;
            Ok(transaction)
        });
        let transaction = transaction.await?;
        let standing = read_standing(&transaction).await?;
        Ok((transaction, standing))
    };
    let (transaction, state) = match beginning.await {
        Ok(begun) => begun,
        Err(error) => {
            // Whoever asked is told so, and has no list yet that could be cut off.
            let _ = begun.send(Err(error));
            return Ok(());
        }
    };
    let _ = begun.send(Ok(state));
    parts::<V>(&transaction, list, state.generation, &sender).await
}

async fn read_standing(transaction: &Transaction<'_>) -> Result<State, ReaderError> {
    let rows = bounded(async { transaction.query(STANDING, &[]).await }).await?;
    standing(&rows)
}

async fn parts<V: View>(
    transaction: &Transaction<'_>,
    list: &Whole,
    generation: i32,
    sender: &mpsc::Sender<Vec<V::Row>>,
) -> Result<(), ReaderError> {
    let sql = (list.sql)(Schema::of(generation));
    let types: Vec<_> = list.parameters.iter().map(|(_, of)| of.clone()).collect();
    let values: Vec<_> = list.parameters.iter().map(|(value, _)| &**value as _).collect();
    let portal = bounded(async {
        let statement = transaction.prepare_typed(&sql, &types).await?;
        transaction.bind(&statement, &values).await
    })
    .await?;
    let most = i32::try_from(ROWS).unwrap_or(i32::MAX);
    let taking = Taking::begin();
    loop {
        let rows = bounded(async { transaction.query_portal(&portal, most).await }).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let rows = rows.iter().map(V::read).collect::<Result<Vec<_>, _>>()?;
        if !taking.part(sender, rows).await? {
            // Nobody reads on.
            return Ok(());
        }
    }
}

/// Until when all of a list has to be taken.
struct Taking(Instant);

impl Taking {
    fn begin() -> Self {
        Self(Instant::now() + ALL_TAKEN_WITHIN)
    }

    /// Hands over a part; whether anybody reads on.
    async fn part<Row>(&self, sender: &mpsc::Sender<Vec<Row>>, rows: Vec<Row>) -> Result<bool, ReaderError> {
        let Self(end) = *self;
        let until = end.min(Instant::now() + TAKEN_WITHIN);
        let taken = timeout_at(until, sender.send(rows)).await;
        if taken.is_err() || Instant::now() >= end {
            return Err(ReaderError::Unavailable("the list was not taken in time".to_owned()));
        }
        Ok(matches!(taken, Ok(Ok(()))))
    }
}

async fn bounded<T>(
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, ReaderError> {
    match timeout(PART, answer).await {
        Ok(answer) => answer.map_err(|error| failed(&error)),
        Err(_) => Err(late("did not answer", PART)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a list lasts whose taker takes a part every so often.
    async fn lasts(every: Duration) -> Duration {
        let (sender, mut parts) = mpsc::channel(2);
        let taker = tokio::spawn(async move {
            while parts.recv().await.is_some() {
                tokio::time::sleep(every).await;
            }
        });
        let (begun, taking) = (Instant::now(), Taking::begin());
        while taking.part(&sender, vec![1]).await.is_ok() {}
        taker.abort();
        begun.elapsed()
    }

    #[tokio::test]
    async fn a_list_that_was_cut_off_does_not_pass_for_the_whole() {
        let late = || ReaderError::Unavailable("late".to_owned());
        for (told, cut_off) in [(Some(Ok(())), false), (Some(Err(late())), true), (None, true)] {
            let (sender, parts) = mpsc::channel(2);
            let (ended, end) = oneshot::channel();
            let mut rows = Rows(Source::Database { parts, end: Some(end) });
            sender.send(vec![1]).await.unwrap();
            drop(sender);
            match told.clone() {
                Some(told) => ended.send(told).unwrap(),
                None => drop(ended),
            }
            assert_eq!(rows.next().await, Some(Ok(vec![1])));
            assert_eq!(rows.next().await.is_some_and(|last| last.is_err()), cut_off, "{told:?}");
            assert_eq!(rows.next().await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_a_list_slowly_has_so_long_for_each_part_and_so_long_for_all() {
        let of_a_part = TAKEN_WITHIN + Duration::from_secs(1);
        assert!((TAKEN_WITHIN..2 * of_a_part).contains(&lasts(of_a_part).await));
        for seconds in [1, 29] {
            let lasts = lasts(Duration::from_secs(seconds)).await;
            assert!(lasts >= ALL_TAKEN_WITHIN, "{seconds} s a part: {lasts:?}");
            assert!(lasts <= ALL_TAKEN_WITHIN + TAKEN_WITHIN, "{seconds} s a part: {lasts:?}");
        }
    }
}
