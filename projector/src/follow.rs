//! Following, as the owner of the lease: read, hear, write with the checkpoint in one transaction.

use crate::halt::Halt;
use crate::hear::{self, Hearing, Next};
use crate::shift::{End, Which};
use crate::status::Status;
use crate::traced::Traced;
use crate::views::VIEWS;
use domain::book::{BookId, STREAM_PREFIX};
use event_store::{Direction, EventStore, Filter, Follow, Position, ReadError, Start};
use read_model::batch::{self, Applied, ApplyError, Batch, Gap};
use read_model::database::Connection;
use read_model::lease::{Checkpoint, Lease, LeaseError};
use read_model::sift::Gaps;
use read_model::{Writers, generation, parked, sorting};
use service_kit::health::Check;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the lease is renewed: three times within its term.
pub(crate) const RENEWAL: Duration = Duration::from_secs(1);

/// How long the streams that are to be tried again may keep the lease waiting for its next renewal; the rest comes after
/// that.
const RETRYING: Duration = Duration::from_millis(500);

/// How many events before the checkpoint are looked at once more whenever following begins or was interrupted.
const LOOK_BACK: usize = 1_000;

/// What one owner works with.
pub(crate) struct Owned<'a, Store> {
    pub(crate) store: &'a Store,
    pub(crate) connection: &'a mut Connection,
    pub(crate) which: Which,
    pub(crate) status: Option<&'a Status>,
    pub(crate) lease: &'a Lease,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) owner: &'a str,
    pub(crate) batch_events: usize,
    pub(crate) writers: Writers,
    /// Whether the store has proved to be the one of the checkpoint since it was last lost.
    pub(crate) proven: bool,
    /// The gaps for which the events were read once more from the checkpoint: one that is still there parks its stream.
    pub(crate) read_again: BTreeSet<Gap>,
    /// Whether they are to be read once more now.
    pub(crate) reads_again: bool,
    /// Ready after each write.
    pub(crate) progress: &'a Check,
}

impl<Store: EventStore> Owned<'_, Store> {
    /// Applies every event after the checkpoint, and goes on until something ends it. `following` is called once the
    /// store has proved to be the one of the checkpoint.
    pub(crate) async fn follow(mut self, shutdown: &CancellationToken, following: impl FnOnce()) -> End {
        if let Err(end) = self.begin().await {
            return end;
        }
        following();
        let mut hearing = self.hear();
        let mut renewals = tokio::time::interval(RENEWAL);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let done = tokio::select! {
                biased;
                () = shutdown.cancelled() => break End::Stopped,
                // Somebody gave a lease back, or another generation serves.
                () = self.connection.notified() => self.renew().await,
                _ = renewals.tick() => self.renew().await,
                next = hearing.next() => match next {
                    Some(Next::Batch(batch)) => self.write(batch).await,
                    Some(Next::Interrupted) => {
                        // Then another store may answer, be it one that was restored to an earlier state.
                        self.proven = false;
                        Ok(())
                    }
                    // Only when the runtime shuts down.
                    None => break End::Stopped,
                },
            };
            match done {
                Ok(()) if self.reads_again => {
                    hearing.stop().await;
                    self.reads_again = false;
                    if let Err(end) = self.look_back().await {
                        return end;
                    }
                    hearing = self.hear();
                }
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        hearing.stop().await;
        end
    }

    /// Whoever was active before may not have understood an event that this projector understands.
    async fn begin(&mut self) -> Result<(), End> {
        self.prove().await?;
        Ok(parked::retry_all(self.connection, self.lease).await?)
    }

    /// Begins to hear what comes after the checkpoint.
    fn hear(&self) -> Hearing {
        let Self { store, status, lease, checkpoint, owner, batch_events, .. } = self;
        if let Some(status) = status {
            status.begin(owner, lease.generation, checkpoint.position, *batch_events);
        }
        let from = match checkpoint.position {
            0 => Follow::FromBeginning,
            position => Follow::After(Position(position)),
        };
        let books = Filter { stream_prefixes: vec![STREAM_PREFIX.to_owned()] };
        hear::in_batches(store.follow(from, books), *batch_events, status.cloned())
    }

    /// Renews the lease. A store that has not proved to be the one of the checkpoint since it was lost is asked again:
    /// one that holds less than the checkpoint would send nothing that shows it.
    async fn renew(&mut self) -> Result<(), End> {
        let (connection, generation) = (&*self.connection, self.lease.generation);
        let lag = self.status.and_then(Status::lag);
        // All at once, as an event that comes meanwhile has to wait.
        let ((), serving, to_retry, parked, many) = tokio::try_join!(
            async { Ok::<_, End>(self.lease.renew(connection, lag).await?) },
            async { Ok(generation::active(connection).await?) },
            async { Ok(parked::to_retry(connection, generation).await?) },
            async { Ok(parked::count(connection, generation).await?) },
            async { Ok(sorting::is_due(connection, generation, sorting::MANY).await?) },
        )?;
        if (serving.map(|serving| serving.number) == Some(generation)) != (self.which == Which::Serving) {
            return Err(End::Switched);
        }
        if let Some(status) = self.status {
            status.parked(parked);
        }
        self.retry_some_of(to_retry).await?;
        if many {
            sorting::make(self.connection, self.lease, VIEWS).await?;
            tracing::info!(generation, "there are many books now: the indexes were made that sort them");
        }
        match self.prove().await {
            Err(End::StoreLost(reason)) => tracing::debug!(reason, "the event store is still away"),
            proved => proved?,
        }
        Ok(())
    }

    async fn write(&mut self, batch: Batch) -> Result<(), End> {
        self.prove().await?;
        let heard = batch.len();
        let batch = batch.in_order();
        let (generation, from) = (self.lease.generation, self.checkpoint.position);
        let began = self.status.and_then(|_| Traced::begin());
        let Some(applied) = self.apply(&batch).await? else { return Ok(()) };
        if let Some(began) = began {
            began.end(generation, from, &batch, &applied);
        }
        if let Some(status) = self.status {
            status.applied(heard, self.checkpoint.position);
        }
        tracing::debug!(events = heard, position = self.checkpoint.position, "events were applied");
        self.progress.ready_as("active");
        self.retry_those_of(applied).await
    }

    /// Applies a batch; nothing of it, if a gap in it is to be read once more.
    async fn apply(&mut self, batch: &Batch) -> Result<Option<Applied>, End> {
        let (lease, from, gaps) = (self.lease, self.checkpoint, Gaps::ParkThese(&self.read_again));
        match batch::apply(self.connection, lease, from, batch, gaps, &mut self.writers).await {
            Ok(applied) => {
                self.checkpoint = applied.checkpoint;
                self.read_again.retain(|gap| gap.position > self.checkpoint.position);
                Ok(Some(applied))
            }
            Err(ApplyError::Gaps(gaps)) => {
                let (reason, streams) = (gaps.first().map(ToString::to_string), gaps.len());
                tracing::warn!(reason, streams, "events are missing; reading once more from the checkpoint");
                self.read_again.extend(gaps);
                self.reads_again = true;
                Ok(None)
            }
            Err(ApplyError::Fenced) => Err(End::TakenOver),
            Err(ApplyError::Database(error)) => Err(error.into()),
        }
    }

    async fn retry_those_of(&mut self, applied: Applied) -> Result<(), End> {
        let parked = applied.parked.iter().map(|trouble| trouble.book_id);
        self.retry_some_of(parked.chain(applied.retry).collect::<BTreeSet<_>>()).await
    }

    /// Tries streams again for as long as the lease may wait. The others stay marked, and have their turn after the next
    /// renewal: many may be poisoned at once.
    async fn retry_some_of(&mut self, books: impl IntoIterator<Item = BookId>) -> Result<(), End> {
        let began = Instant::now();
        for book in books {
            self.retry(book).await?;
            if began.elapsed() > RETRYING {
                break;
            }
        }
        Ok(())
    }

    /// Makes sure, once after each interruption, that this is the store of the checkpoint, and that nothing came late
    /// meanwhile.
    async fn prove(&mut self) -> Result<(), End> {
        if !self.proven {
            self.prove_same_store().await?;
            self.look_back().await?;
            self.proven = true;
        }
        Ok(())
    }

    /// Looks once more at the last events before the checkpoint. What a store told late may have been on its way when it
    /// was lost, and would never come again.
    async fn look_back(&mut self) -> Result<(), End> {
        if self.checkpoint.event_id.is_none() {
            return Ok(());
        }
        let from = Start::At(Position(self.checkpoint.position));
        let mut batch = Batch::default();
        for event in self.store.read_all(from, Direction::Backwards, LOOK_BACK).await? {
            hear::take(&mut batch, &event);
        }
        // There is no gap in it, as no event of it is after the checkpoint.
        match self.apply(&batch.in_order()).await? {
            Some(applied) => self.retry_those_of(applied).await,
            None => Ok(()),
        }
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
