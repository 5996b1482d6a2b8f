//! Where the read models stand, watched, so that readers can wait for an event without asking the database.

use crate::batch::POSITION;
use crate::database::{Connection, Database, DatabaseError, within};
use crate::value;
use std::time::Duration;
use tokio::sync::watch;
use tokio_postgres::error::SqlState;

/// The position is read at least so often: a notification can be lost.
const INTERVAL: Duration = Duration::from_millis(250);

/// How long reading it may take.
const LIMIT: Duration = Duration::from_millis(1_500);

/// The read models were not where a reader wanted them in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the read models are at position {position} only")]
pub struct Behind {
    /// Where they are; 0 before the first event, or while the database has not answered yet.
    pub position: u64,
}

/// The position, kept up to date by a task that ends with the last clone of this.
#[derive(Clone, Debug)]
pub(crate) struct Positions {
    latest: watch::Receiver<u64>,
}

impl Positions {
    pub(crate) fn watch(database: Database, settings: String) -> Self {
        let (sender, latest) = watch::channel(0);
        tokio::spawn(keep_up_to_date(database, settings, sender));
        Self { latest }
    }

    pub(crate) fn current(&self) -> u64 {
        *self.latest.borrow()
    }

    pub(crate) async fn wait_for(&self, position: u64, limit: Duration) -> Result<(), Behind> {
        let mut latest = self.latest.clone();
        let reached = tokio::time::timeout(limit, latest.wait_for(|latest| *latest >= position)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            // Late, or the runtime is shutting down.
            Ok(Err(_)) | Err(_) => Err(Behind { position: self.current() }),
        }
    }
}

async fn keep_up_to_date(database: Database, settings: String, sender: watch::Sender<u64>) {
    let mut known = true;
    loop {
        let lost = tokio::select! {
            () = sender.closed() => return,
            lost = follow(&database, &settings, &sender, &mut known) => lost,
        };
        if known {
            tracing::warn!(error = %lost, "the position of the read models is not known; trying again");
            known = false;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Publishes the position over one connection, until that is lost.
async fn follow(
    database: &Database,
    settings: &str,
    sender: &watch::Sender<u64>,
    known: &mut bool,
) -> DatabaseError {
    let listening = async {
        let connection = database.connect("bookstock reader of positions", settings).await?;
        match connection.listen(POSITION).await {
            // A replica cannot listen. The interval is enough.
            Err(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {}
            listening => listening?,
        }
        Ok(connection)
    };
    let connection = match listening.await {
        Ok(connection) => connection,
        Err(error) => return error,
    };
    loop {
        match read(&connection).await {
            Ok(position) => {
                *known = true;
                sender.send_if_modified(|latest| std::mem::replace(latest, position) != position);
            }
            Err(error) => return error,
        }
        // Either way, the position is read next.
        let _ = tokio::time::timeout(INTERVAL, connection.notified()).await;
    }
}

async fn read(connection: &Connection) -> Result<u64, DatabaseError> {
    within(LIMIT, async {
        let statement = connection
            .client
            .prepare_cached(
                "SELECT projection.position FROM bookstock.active JOIN bookstock.projection USING (generation)",
            )
            .await?;
        let row = connection.client.query_opt(&statement, &[]).await?;
        Ok(row.map(|row| value::read_u64(&row, 0)).transpose()?.unwrap_or(0))
    })
    .await
}
