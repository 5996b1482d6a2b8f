//! A whole list of one position, row by row, however long it is and however slowly it is taken.

use crate::desk::{Asked, Desk, failed, late, standing};
use crate::generation::Schema;
use crate::list_sql::Parameter;
use crate::memory::Entry;
use crate::reader::ReaderError;
use crate::view::View;
use deadpool_postgres::{Object, Transaction};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_postgres::IsolationLevel;

/// How many rows are handed over at once.
const ROWS: usize = 500;

/// How long PostgreSQL may take for each part, the first of which it may have to sort the list for.
const PART: Duration = Duration::from_secs(10);

/// How long whoever takes the rows may take for a part. After that the connection is needed elsewhere.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// The rows of a list.
#[derive(Debug)]
pub struct Rows<Row>(Source<Row>);

#[derive(Debug)]
enum Source<Row> {
    Memory(std::vec::IntoIter<Arc<Entry<Row>>>),
    Database(mpsc::Receiver<Result<Vec<Row>, ReaderError>>),
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
            Source::Database(rows) => rows.recv().await,
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
        let (sender, rows) = mpsc::channel(2);
        tokio::spawn(async move {
            hand_over::<V>(client, &list, begun, sender).await;
            drop(place);
        });
        let (generation, position) =
            beginning.await.map_err(|_| ReaderError::Unavailable("the list was not begun".to_owned()))??;
        Ok(Asked { value: Rows(Source::Database(rows)), position, generation })
    }
}

type Begun = oneshot::Sender<Result<(i32, u64), ReaderError>>;

async fn hand_over<V: View>(
    mut client: Object,
    list: &Whole,
    begun: Begun,
    sender: mpsc::Sender<Result<Vec<V::Row>, ReaderError>>,
) {
    let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let beginning = bounded(async {
        let transaction = begin.start().await?;
        transaction.batch_execute(&format!("SET LOCAL statement_timeout = {}", PART.as_millis())).await?;
        Ok(transaction)
    });
    let transaction = match beginning.await {
        Ok(transaction) => transaction,
        Err(error) => {
            let _ = begun.send(Err(error));
            return;
        }
    };
    let finished = match read_standing(&transaction).await {
        Ok((generation, position)) => {
            let _ = begun.send(Ok((generation, position)));
            parts::<V>(&transaction, list, generation, &sender).await
        }
        Err(error) => {
            let _ = begun.send(Err(error));
            return;
        }
    };
    if let Err(error) = finished {
        tracing::warn!(%error, "a list was cut off");
        let _ = timeout(TAKEN_WITHIN, sender.send(Err(error))).await;
    }
}

async fn read_standing(transaction: &Transaction<'_>) -> Result<(i32, u64), ReaderError> {
    let rows = bounded(async { transaction.query(crate::desk::STANDING, &[]).await }).await?;
    standing(&rows)
}

async fn parts<V: View>(
    transaction: &Transaction<'_>,
    list: &Whole,
    generation: i32,
    sender: &mpsc::Sender<Result<Vec<V::Row>, ReaderError>>,
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
    loop {
        let rows = bounded(async { transaction.query_portal(&portal, most).await }).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let rows = rows.iter().map(V::read).collect::<Result<Vec<_>, _>>()?;
        match timeout(TAKEN_WITHIN, sender.send(Ok(rows))).await {
            Ok(Ok(())) => {}
            // Nobody reads on.
            Ok(Err(_)) => return Ok(()),
            Err(_) => return Err(ReaderError::Unavailable("the list was not taken in time".to_owned())),
        }
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
