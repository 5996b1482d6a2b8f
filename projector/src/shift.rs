//! Shifts: standing by for the lease, working while it is ours, and what comes after.

use crate::follow::Owned;
use crate::halt::Halt;
use crate::status::Status;
use crate::views::VIEWS;
use event_store::EventStore;
use read_model::database::Connection;
use read_model::generation::{self, FOLD_VERSION};
use read_model::lease::{Checkpoint, HANDED_BACK, Lease, WRITER_SETTINGS};
use read_model::{Database, DatabaseError, MigrateError, Way, Writers, migrate};
use service_kit::Health;
use service_kit::health::Check;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the lease lasts without a renewal. With the poll below it bounds how long a death leaves the read models
/// unattended: less than five seconds.
const TERM: Duration = Duration::from_secs(3);

/// How often a projector that stands by asks for the lease.
const POLL: Duration = Duration::from_millis(500);

/// The pauses before trying again: after an outage, which is over soon, and after a halt, which is not.
const OUTAGE_PAUSE: Duration = Duration::from_millis(200);
const HALT_PAUSE: Duration = Duration::from_secs(5);

/// Which generation a projector works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that serves, whichever that is.
    Serving,
    /// This one, which is kept beside it.
    Kept(i32),
}

/// A projector, active or standing by.
#[derive(Clone)]
pub(crate) struct Projector<Store> {
    pub(crate) which: Which,
    /// Told of the generation that serves only.
    pub(crate) status: Option<Status>,
    pub(crate) store: Store,
    pub(crate) database: Database,
    pub(crate) database_url: String,
    pub(crate) batch_events: usize,
    pub(crate) owner: String,
    pub(crate) database_check: Check,
    pub(crate) projection_check: Check,
}

/// How a shift ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process stops.
    Stopped,
    /// Another generation serves now.
    Switched,
    /// Another projector took the lease.
    TakenOver,
    /// PostgreSQL failed.
    DatabaseLost(String),
    /// The event store failed before it could be followed, while it was to prove to be the same one, or in the middle of
    /// folding a stream anew. An interruption alone does not end a shift.
    StoreLost(String),
    /// An operator is needed.
    Halted(Halt),
}

impl<Store: EventStore> Projector<Store> {
    /// The same one for another generation. How that fares is no reason to be ready or not.
    pub(crate) fn beside(self, generation: i32) -> Self {
        let (which, aside) = (Which::Kept(generation), Health::default());
        // Another name: one owner may take its own lease at any time.
        let owner = format!("{}-{generation}", self.owner);
        Self {
            which,
            owner,
            status: None,
            database_check: aside.check("database"),
            projection_check: aside.check("projection"),
            ..self
        }
    }

    /// One shift after another, until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut last = End::Stopped;
        loop {
            let end = self.shift(&shutdown).await;
            if end == End::Stopped || (end == End::Switched && self.which != Which::Serving) {
                return;
            }
            let pause = self.take_note(&last, &end);
            last = end;
            if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Tells the operator how a shift ended, unless the one before ended so too, and answers the pause before the next.
    fn take_note(&self, last: &End, end: &End) -> Duration {
        let news = last != end;
        match end {
            End::Stopped => Duration::ZERO,
            End::Switched => {
                tracing::info!("another generation of the read models serves now");
                Duration::ZERO
            }
            End::TakenOver => {
                tracing::warn!(owner = self.owner, "another projector has taken over");
                Duration::ZERO
            }
            End::DatabaseLost(reason) => {
                if news {
                    tracing::warn!(reason, "the database failed; trying again until it is back");
                }
                self.database_check.not_ready(reason);
                self.projection_check.not_ready("the database failed");
                OUTAGE_PAUSE
            }
            End::StoreLost(reason) => {
                if news {
                    tracing::warn!(reason, "the event store failed; trying again until it is back");
                }
                self.projection_check.not_ready(reason);
                OUTAGE_PAUSE
            }
            End::Halted(halt) => {
                if news {
                    tracing::error!(reason = %halt, "the projection has halted; the read models stay as they are");
                }
                self.projection_check.not_ready(&halt.to_string());
                if let Some(status) = &self.status {
                    status.halts();
                }
                HALT_PAUSE
            }
        }
    }

    /// Stands by, then works, and hands the lease back.
    async fn shift(&self, shutdown: &CancellationToken) -> End {
        let (mut connection, lease, checkpoint) = match shutdown.run_until_cancelled(self.stand_by()).await {
            None => return End::Stopped,
            Some(Err(end)) => return end,
            Some(Ok(owned)) => owned,
        };
        let following = || {
            tracing::info!(
                owner = self.owner,
                generation = lease.generation,
                epoch = lease.epoch,
                position = checkpoint.position,
                "projecting"
            );
            self.projection_check.ready_as("active");
        };
        let owned = Owned {
            store: &self.store,
            connection: &mut connection,
            which: self.which,
            status: self.status.as_ref(),
            lease: &lease,
            checkpoint,
            batch_events: self.batch_events,
            writers: Writers::of(VIEWS, Way::Statement),
            owner: &self.owner,
            proven: false,
            read_again: BTreeSet::new(),
            reads_again: false,
            progress: &self.projection_check,
        };
        let end = owned.follow(shutdown, following).await;
        if let Some(status) = &self.status {
            status.end();
        }
        if !matches!(end, End::TakenOver | End::DatabaseLost(_))
            && let Err(error) = lease.hand_back(&connection).await
        {
            tracing::warn!(%error, "the lease was not handed back; another projector has to wait for its end");
        }
        end
    }

    /// Waits until the lease is ours.
    async fn stand_by(&self) -> Result<(Connection, Lease, Checkpoint), End> {
        migrate(&self.database_url).await?;
        let mut connection = self.database.connect("bookstock projector", WRITER_SETTINGS).await?;
        connection.listen(HANDED_BACK).await?;
        let mut told = false;
        loop {
            let generation = match self.which {
                Which::Kept(generation) => generation,
                Which::Serving => serving(&mut connection).await?,
            };
            let taken = Lease::take(&connection, generation, &self.owner, TERM).await?;
            self.database_check.ready();
            if let Some((lease, checkpoint)) = taken {
                return Ok((connection, lease, checkpoint));
            }
            if !told {
                tracing::info!(owner = self.owner, "standing by: another projector is active");
                told = true;
                if let Some(status) = &self.status {
                    status.stands_by();
                }
            }
            self.projection_check.ready_as("standing by");
            // Whether it was handed back or not, the lease is asked for next.
            let _ = tokio::time::timeout(POLL, connection.notified()).await;
        }
    }
}

/// The generation that serves, if this program may write it.
async fn serving(connection: &mut Connection) -> Result<i32, End> {
    let generation = generation::active_or_first(connection, VIEWS).await?;
    if generation.fold_version != FOLD_VERSION {
        let (theirs, ours) = (generation.fold_version, FOLD_VERSION);
        return Err(End::Halted(Halt::OtherFold { theirs, ours }));
    }
    Ok(generation.number)
}

impl From<DatabaseError> for End {
    fn from(error: DatabaseError) -> Self {
        // The one thing that has to be new in any view is the position of a movement.
        if error.is_taken() {
            return Self::Halted(Halt::PositionTaken(error.to_string()));
        }
        Self::DatabaseLost(error.to_string())
    }
}

impl From<MigrateError> for End {
    fn from(error: MigrateError) -> Self {
        Self::DatabaseLost(error.to_string())
    }
}
