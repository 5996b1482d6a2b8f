//! Building a generation from the log, by the very code that the projector applies events with.

use crate::after::AfterCheck;
use crate::give_way::{self, Burst, GiveWay};
use crate::log::{self, Until};
use crate::patience::patiently;
use crate::places::Places;
use crate::progress::{Phase, Progress};
use crate::tell::note;
use anyhow::Context as _;
use domain::book::{BookId, STREAM_PREFIX};
use event_store::{Kurrent, Position};
use projector::Understood;
use read_model::batch::{self, Batch};
use read_model::database::Connection;
use read_model::generation::{self, BeginError, Begun, Kind};
use read_model::lease::{Checkpoint, Lease, LeaseError};
use read_model::parity;
use read_model::parked::Parked;
use read_model::sift::Gaps;
use read_model::view::AnyView;
use read_model::{Database, DatabaseError, Way, Writers};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long the lease outlives a maker that died, and how often one that lives renews it.
const TERM: Duration = Duration::from_secs(10);
const RENEWAL: Duration = Duration::from_secs(2);

/// Nobody waits for these statements, and some take long.
const SETTINGS: &str = "
    SET lock_timeout = '5s';
    SET synchronous_commit = off;
    SET maintenance_work_mem = '128MB';
    SET work_mem = '32MB'";

/// A generation that is being built.
pub(crate) struct Build {
    store: Kurrent,
    database: Database,
    pub(crate) connection: Connection,
    pub(crate) lease: Lease,
    pub(crate) checkpoint: Checkpoint,
    writers: Writers,
    /// Shown each event as well, if there is one.
    pub(crate) after: Option<AfterCheck>,
    renewing: JoinHandle<()>,
}

impl Build {
    /// Begins the next generation, with the tables of all views and nothing in them.
    pub(crate) async fn begin(
        places: &Places,
        store: &Kurrent,
        database: &Database,
        kind: Kind,
    ) -> anyhow::Result<Self> {
        let mut connection = database.connect("bookstock replay", SETTINGS).await?;
        give_way::step_postgres_behind(places.postmaster(), &connection).await;
        let owner = format!("replay (process {})", std::process::id());
        let begun = begin(&mut connection, &owner, kind).await?;
        for dropped in begun.dropped {
            tracing::warn!(generation = dropped, "a generation that was never finished was dropped");
        }
        let renewing = database.connect("bookstock replay lease", "").await?;
        let lease = begun.lease.clone();
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEWAL).await;
                match lease.renew(&renewing, None).await {
                    Ok(()) => {}
                    // The next write finds out.
                    Err(LeaseError::Lost) => return,
                    // A large batch keeps the row locked for so long, and renews the lease itself.
                    Err(LeaseError::Database(error)) => {
                        tracing::debug!(%error, "the lease on the generation being built was not renewed");
                    }
                }
            }
        });
        Ok(Self {
            store: store.clone(),
            database: database.clone(),
            connection,
            lease: begun.lease,
            checkpoint: Checkpoint::default(),
            writers: writers_of(projector::VIEWS),
            after: None,
            renewing,
        })
    }

    /// Applies every event up to `end`, or to the end of the log.
    pub(crate) async fn go_on(
        &mut self,
        end: Option<Position>,
        progress: &mut Progress,
    ) -> anyhow::Result<()> {
        if end.is_some_and(|end| end.0 <= self.checkpoint.position) {
            return Ok(());
        }
        let from = self.checkpoint.event_id.map(|id| (Position(self.checkpoint.position), id));
        let hearing = log::hear(&self.store, from, &[STREAM_PREFIX], Until::End(end));
        // One batch is written while the next one is heard and decoded.
        let (sender, mut batches) = mpsc::channel(1);
        let mut after = self.after.take();
        let mut way = GiveWay::new();
        let burst = way.burst();
        let decoding = tokio::spawn(async move {
            let heard = decode(hearing, sender, &burst, after.as_mut()).await;
            (heard, after)
        });
        let mut anew = BTreeSet::new();
        while let Some(batch) = batches.recv().await {
            let began = Instant::now();
            anew.extend(self.write(&batch).await?);
            progress.done(batch.len(), self.checkpoint.position);
            way.rest(&self.store, self.checkpoint.position, began.elapsed()).await;
        }
        let (heard, after) = decoding.await.context("decoding the log failed")?;
        self.after = after;
        heard?;
        self.try_again(anew).await
    }

    /// Applies these events, in the order of their positions.
    pub(crate) async fn apply(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let anew = self.write(batch).await?;
        self.try_again(anew).await
    }

    /// Lets events come that are before those that were applied: of other books than theirs.
    pub(crate) async fn rewind(&mut self) -> anyhow::Result<()> {
        let rewound = batch::rewind(&mut self.connection, &self.lease, self.checkpoint).await;
        rewound.context("the generation being built cannot be written")?;
        self.checkpoint = Checkpoint::default();
        Ok(())
    }

    /// Streams that cannot go on are parked, as the projector does; answers those that may be able to, if read again.
    async fn write(&mut self, batch: &Batch) -> anyhow::Result<BTreeSet<BookId>> {
        let Self { connection, lease, checkpoint, writers, .. } = self;
        let applied = batch::apply(connection, lease, *checkpoint, batch, Gaps::Park, writers).await;
        let applied = applied.context("the generation being built cannot be written")?;
        self.checkpoint = applied.checkpoint;
        Ok(applied.parked.iter().map(|trouble| trouble.book_id).chain(applied.retry).collect())
    }

    /// Folds the streams of these books anew, if they can be.
    pub(crate) async fn try_again(&mut self, books: impl IntoIterator<Item = BookId>) -> anyhow::Result<()> {
        for book in books {
            let Self { store, connection, lease, checkpoint, writers, .. } = self;
            writers.forget();
            projector::try_again(store, connection, lease, *checkpoint, book).await?;
        }
        Ok(())
    }

    /// Folds the stream of `book` anew up to the revision `last`, or leaves it out.
    pub(crate) async fn fold_up_to(&mut self, book: BookId, last: Option<u64>) -> anyhow::Result<()> {
        let Self { store, connection, lease, checkpoint, writers, .. } = self;
        writers.forget();
        projector::fold_up_to(store, connection, lease, *checkpoint, book, last).await
    }

    /// The streams that stand still in it.
    pub(crate) async fn parked(&self) -> anyhow::Result<Vec<Parked>> {
        let parked = read_model::parked::list(&self.connection).await?;
        Ok(parked.into_iter().filter(|parked| parked.generation == self.lease.generation).collect())
    }

    /// The books of that generation that have nothing in it.
    pub(crate) async fn without(&self, generation: i32) -> anyhow::Result<Vec<BookId>> {
        Ok(parity::only_in(&self.connection, generation, self.lease.generation).await?)
    }

    /// Copies all views but `name` from the generation that serves, and folds that one up to the same position; answers
    /// how many events that took.
    pub(crate) async fn one_view(&mut self, name: &str) -> anyhow::Result<u64> {
        let (one, others): (Vec<&dyn AnyView>, Vec<&dyn AnyView>) =
            projector::VIEWS.iter().copied().partition(|view| view.name() == name);
        let position = generation::copy(&mut self.connection, &self.lease, &others).await?;
        let mut progress = Progress::start("folding", position);
        self.writers = writers_of(&one);
        self.go_on(Some(Position(position)), &mut progress).await?;
        self.writers = writers_of(projector::VIEWS);
        Ok(progress.events())
    }

    /// Makes the indexes of all tables.
    pub(crate) async fn index(&self) -> anyhow::Result<()> {
        let _shown = Phase::start("making indexes".to_owned());
        generation::index(&self.connection, &self.lease, projector::VIEWS)
            .await
            .context("the indexes of the new generation cannot be made")
    }

    /// Drops what was built, and says so; unless it is no longer being built.
    pub(crate) async fn give_up(self) -> anyhow::Result<String> {
        let (database, lease) = (self.database.clone(), self.lease.clone());
        // Its connection may be in the middle of a statement, which would keep its locks, or of a transaction, which ends
        // with it.
        self.connection.cancel().await;
        drop(self);
        let generation = lease.generation;
        let dropping = async {
            let mut connection = database.connect("bookstock replay", "").await?;
            let give_up = async || generation::give_up(&mut connection, &lease).await;
            patiently(give_up, DatabaseError::is_contention).await
        };
        let dropped = dropping.await.with_context(|| {
            format!("generation {generation} was left unfinished; the next rebuild drops it")
        })?;
        Ok(if dropped {
            format!("generation {generation} was dropped and nothing was changed")
        } else {
            format!("generation {generation} was not dropped; `replay generations` tells whether it serves")
        })
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Nobody else waits to write what is being built.
fn writers_of(views: &[&dyn AnyView]) -> Writers {
    Writers::of(views, Way::Copy)
}

/// Begins as soon as nobody else builds: a maker that died is found out when its lease ends.
async fn begin(connection: &mut Connection, owner: &str, kind: Kind) -> anyhow::Result<Begun> {
    let deadline = Instant::now() + TERM + RENEWAL;
    let mut told = false;
    loop {
        match generation::begin(connection, owner, TERM, kind, projector::VIEWS).await {
            Err(error @ BeginError::UnderWay { .. }) if Instant::now() < deadline => {
                if !std::mem::replace(&mut told, true) {
                    note(format_args!("{error}; looking for {} s whether it lives", TERM.as_secs()));
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            // Its maker writes.
            Err(BeginError::Database(error)) if error.is_contention() && Instant::now() < deadline => {}
            begun => return Ok(begun?),
        }
    }
}

/// Hears to the end, and hands on what was heard, in batches.
async fn decode(
    mut hearing: log::Hearing,
    sender: mpsc::Sender<Batch>,
    burst: &Burst,
    mut after: Option<&mut AfterCheck>,
) -> anyhow::Result<()> {
    let mut batch = Batch::default();
    while let Some(events) = hearing.batch().await? {
        for event in &events {
            match projector::decode(event) {
                Some(Understood::Happened(happening)) => {
                    if let Some(after) = &mut after {
                        after.hear(&happening, event);
                    }
                    batch.happenings.push(happening);
                }
                Some(Understood::Unreadable(trouble)) => {
                    if let Some(after) = &mut after {
                        after.cannot_read(&trouble);
                    }
                    batch.unreadable.push(trouble);
                }
                None => {}
            }
            if batch.len() >= burst.events() && sender.send(std::mem::take(&mut batch)).await.is_err() {
                // Writing has failed, which is told there.
                return Ok(());
            }
        }
    }
    if !batch.is_empty() {
        let _ = sender.send(batch).await;
    }
    Ok(())
}
