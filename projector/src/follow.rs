//! Following, as the owner of the lease: read, hear, write with the checkpoint in one transaction.

use crate::halt::Halt;
use crate::hear::{self, Next};
use crate::shift::{End, Which};
use crate::status::Status;
use crate::traced::Traced;
use crate::views::VIEWS;
use domain::book::STREAM_PREFIX;
use event_store::{EventStore, Filter, Follow, Position, ReadError};
use read_model::batch::{self, ApplyError, Batch};
use read_model::database::Connection;
use read_model::lease::{Checkpoint, Lease, LeaseError};
use read_model::sift::Gaps;
use read_model::{generation, parked};
use service_kit::health::Check;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the lease is renewed: three times within its term.
const RENEWAL: Duration = Duration::from_secs(1);

/// What one owner works with.
pub(crate) struct Owned<'a, Store> {
    pub(crate) store: &'a Store,
    pub(crate) connection: &'a mut Connection,
    pub(crate) which: Which,
    pub(crate) status: Option<&'a Status>,
    pub(crate) lease: &'a Lease,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) batch_events: usize,
    /// A gap is read once more from the checkpoint; only one that is still there parks its stream.
    pub(crate) gaps: Gaps,
    /// Ready after each write.
    pub(crate) progress: &'a Check,
}

impl<Store: EventStore> Owned<'_, Store> {
    /// Applies every event after the checkpoint, and goes on until something ends it. `following` is called once the
    /// store has proved to be the one of the checkpoint.
    pub(crate) async fn follow(mut self, shutdown: &CancellationToken, following: impl FnOnce()) -> End {
        if let Err(end) = self.prove_same_store().await {
            return end;
        }
        following();
        let from = match self.checkpoint.position {
            0 => Follow::FromBeginning,
            position => Follow::After(Position(position)),
        };
        let books = Filter { stream_prefixes: vec![STREAM_PREFIX.to_owned()] };
        let mut batches =
            hear::in_batches(self.store.follow(from, books), self.batch_events, self.status.cloned());
        let mut renewals = tokio::time::interval(RENEWAL);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // After an interruption another store may answer, be it one that was restored to an earlier state.
        let mut proven = true;
        loop {
            let done = tokio::select! {
                biased;
                () = shutdown.cancelled() => return End::Stopped,
                // Somebody gave a lease back, or another generation serves.
                () = self.connection.notified() => self.renew(&mut proven).await,
                _ = renewals.tick() => self.renew(&mut proven).await,
                next = batches.recv() => match next {
                    Some(Next::Batch(batch)) => self.write(&batch, &mut proven).await,
                    Some(Next::Interrupted) => {
                        proven = false;
                        Ok(())
                    }
                    // Only when the runtime shuts down.
                    None => return End::Stopped,
                },
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Renews the lease. A store that has not proved to be the one of the checkpoint since it was lost is asked again:
    /// one that holds less than the checkpoint would send nothing that shows it.
    async fn renew(&mut self, proven: &mut bool) -> Result<(), End> {
        self.lease.renew(self.connection).await?;
        let serving = generation::active(self.connection).await?.map(|generation| generation.number);
        if (serving == Some(self.lease.generation)) != (self.which == Which::Serving) {
            return Err(End::Switched);
        }
        self.retry_those_asked_for().await?;
        if let Some(status) = self.status {
            status.measure(parked::count(self.connection, self.lease.generation).await?);
        }
        if !*proven {
            match self.prove_same_store().await {
                Ok(()) => *proven = true,
                Err(End::StoreLost(reason)) => tracing::debug!(reason, "the event store is still away"),
                Err(end) => return Err(end),
            }
        }
        Ok(())
    }

    async fn write(&mut self, batch: &Batch, proven: &mut bool) -> Result<(), End> {
        if !*proven {
            self.prove_same_store().await?;
            *proven = true;
        }
        let (lease, from) = (self.lease, self.checkpoint);
        let began = self.status.and_then(|_| Traced::begin());
        let applied = batch::apply_or_park(self.connection, lease, from, batch, self.gaps, VIEWS).await?;
        if let Some(began) = began {
            began.end(lease.generation, from.position, batch, &applied);
        }
        self.checkpoint = applied.checkpoint;
        if let Some(status) = self.status {
            status.applied(batch.len(), self.checkpoint.position);
        }
        tracing::debug!(events = batch.len(), position = self.checkpoint.position, "events were applied");
        self.progress.ready_as("active");
        let parked = applied.parked.iter().map(|trouble| trouble.book_id);
        for book in parked.chain(applied.retry).collect::<BTreeSet<_>>() {
            self.retry(book).await?;
        }
        Ok(())
    }

    /// Positions mean nothing in another store: the event of the checkpoint must be where it was.
    async fn prove_same_store(&self) -> Result<(), End> {
        let Some(expected) = self.checkpoint.event_id else { return Ok(()) };
        let position = self.checkpoint.position;
        let found = self.store.read_at(Position(position)).await?.map(|event| event.id);
        if found == Some(expected) {
            return Ok(());
        }
        let (expected, found) = (expected.to_string(), found.map(|id| id.to_string()));
        Err(End::Halted(Halt::OtherStore { position, expected, found }))
    }
}

impl From<ApplyError> for End {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Fenced => Self::TakenOver,
            ApplyError::Gap(gap) => Self::Halted(gap.into()),
            ApplyError::Database(error) => Self::DatabaseLost(error.to_string()),
        }
    }
}

impl From<LeaseError> for End {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Lost => Self::TakenOver,
            LeaseError::Database(error) => Self::DatabaseLost(error.to_string()),
        }
    }
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        Self::StoreLost(error.to_string())
    }
}
