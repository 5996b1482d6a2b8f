//! Trying a parked stream again: it is read from its first event on, and folded anew if every event of it can be applied
//! by now.

use crate::follow::{Owned, RENEWAL};
use crate::hear::{Understood, decode};
use crate::shift::End;
use crate::status::Status;
use crate::views::VIEWS;
use domain::book::BookId;
use event_store::{Direction, EventStore, ReadError, Start, StoredEvent};
use read_model::database::Connection;
use read_model::lease::{Checkpoint, Lease, LeaseError};
use read_model::parked;
use read_model::refold::Refold;
use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use tokio::time::timeout;

/// How many events are read at a time.
const PAGE: usize = 1_000;

/// Why a stream waits that is deleted for ever: as long as its generation serves, and without being tried again and again.
const DELETED: &str =
    "the stream is deleted for ever: its events cannot be read any more, and none can be appended";

/// What a stream is found to be.
enum Survey {
    /// It can be folded, without these revisions, and its last event up to the checkpoint has this one.
    Foldable { skipped: HashSet<u64>, last: u64 },
    /// It has to wait on.
    Waits(String),
}

/// What a stream is tried again with: the store, and the right to write one generation that stands at a checkpoint.
struct Retry<'a, Store> {
    store: &'a Store,
    connection: &'a mut Connection,
    lease: &'a Lease,
    checkpoint: Checkpoint,
}

/// Tries the stream of `book` again, for a generation that is written by somebody else than a projector: one who does not
/// come back to it, so that a stream which cannot be read is an error.
///
/// # Errors
/// When one of the stores fails, or the lease is lost.
pub async fn try_again(
    store: &impl EventStore,
    connection: &mut Connection,
    lease: &Lease,
    checkpoint: Checkpoint,
    book: BookId,
) -> anyhow::Result<()> {
    let mut retry = Retry { store, connection, lease, checkpoint };
    let survey = retry.survey_all(book).await?;
    retry.settle(book, survey).await.map_err(failed)
}

/// Folds the stream of `book` anew up to the revision `last`, or not at all, for the same: as it is in a generation where
/// it waits behind that. One that cannot be folded so far stays as it is.
///
/// # Errors
/// When one of the stores fails, or the lease is lost.
pub async fn fold_up_to(
    store: &impl EventStore,
    connection: &mut Connection,
    lease: &Lease,
    checkpoint: Checkpoint,
    book: BookId,
    last: Option<u64>,
) -> anyhow::Result<()> {
    let mut retry = Retry { store, connection, lease, checkpoint };
    let folded = match last {
        None => retry.fold(book, &HashSet::new(), None).await,
        Some(last) => match retry.survey(book, |event| event.revision > last).await? {
            Survey::Foldable { skipped, last } => retry.fold(book, &skipped, Some(last)).await,
            Survey::Waits(_) => Ok(()),
        },
    };
    folded.map_err(failed)
}

fn later(book: BookId, error: &dyn std::fmt::Display) {
    tracing::warn!(stream = book.stream(), %error, "a parked stream could not be read again; later");
}

fn failed(end: End) -> anyhow::Error {
    match end {
        End::DatabaseLost(reason) | End::StoreLost(reason) => anyhow::Error::msg(reason),
        end => anyhow::anyhow!("the lease was lost ({end:?})"),
    }
}

impl<Store: EventStore> Owned<'_, Store> {
    /// Tries the stream of `book` again. While the event store is away, it is left for later.
    pub(crate) async fn retry(&mut self, book: BookId) -> Result<(), End> {
        let Self { store, connection, lease, checkpoint, writers, status, .. } = self;
        writers.forget();
        let mut retry = Retry { store: *store, connection, lease, checkpoint: *checkpoint };
        match retry.survey_all_as_owner(book, *status).await? {
            Ok(survey) => match retry.settle(book, survey).await {
                Err(End::StoreLost(error)) => later(book, &error),
                settled => return settled,
            },
            Err(error) => later(book, &error),
        }
        Ok(())
    }
}

impl<Store: EventStore> Retry<'_, Store> {
    /// Looks through the stream up to the checkpoint.
    async fn survey_all(&self, book: BookId) -> Result<Survey, ReadError> {
        let checkpoint = self.checkpoint.position;
        self.survey(book, |event| event.position.0 > checkpoint).await
    }

    /// The same, and keeps the lease meanwhile: a long stream takes longer than that lasts, and whoever took it over would
    /// begin with the same stream.
    async fn survey_all_as_owner(
        &self,
        book: BookId,
        status: Option<&Status>,
    ) -> Result<Result<Survey, ReadError>, LeaseError> {
        let mut survey = pin!(self.survey_all(book));
        loop {
            match timeout(RENEWAL, &mut survey).await {
                Ok(surveyed) => return Ok(surveyed),
                Err(_) => self.lease.renew(self.connection, status.and_then(Status::lag)).await?,
            }
        }
    }

    /// Folds the stream anew, or lets it wait on, as it was found.
    async fn settle(&mut self, book: BookId, survey: Survey) -> Result<(), End> {
        let (skipped, last) = match survey {
            Survey::Foldable { skipped, last } => (skipped, last),
            Survey::Waits(reason) => {
                parked::wait_on(self.connection, self.lease, book, &reason).await?;
                tracing::error!(
                    stream = book.stream(),
                    generation = self.lease.generation,
                    reason,
                    "a stream is parked: its book stays as it is, all others go on; see `replay parked`"
                );
                return Ok(());
            }
        };
        self.fold(book, &skipped, Some(last)).await?;
        tracing::info!(
            stream = book.stream(),
            generation = self.lease.generation,
            "a stream was folded anew"
        );
        Ok(())
    }

    /// Makes its rows anew, from the events up to `last` without those that were taken out of it.
    async fn fold(&mut self, book: BookId, skipped: &HashSet<u64>, last: Option<u64>) -> Result<(), End> {
        let mut refold = Refold::begin(self.connection, self.lease, self.checkpoint, book, VIEWS).await?;
        let mut next = 0;
        while last.is_some_and(|last| next <= last) {
            let events = match refold.meanwhile(page(self.store, book, next)).await? {
                Ok(events) if !events.is_empty() => events,
                Ok(_) | Err(_) => {
                    return Err(End::StoreLost("a stream could not be read to its end".to_owned()));
                }
            };
            let up_to_last = events.iter().take_while(|event| Some(event.revision) <= last);
            let mut happenings = Vec::new();
            for event in up_to_last.filter(|event| !skipped.contains(&event.revision)) {
                if let Some(Understood::Happened(happening)) = decode(event) {
                    happenings.push(happening);
                }
            }
            refold.apply(&happenings).await?;
            next += u64::try_from(events.len()).unwrap_or(u64::MAX);
        }
        Ok(refold.commit(last).await?)
    }

    /// Looks through the stream up to the first event that is beyond what counts.
    async fn survey(
        &self,
        book: BookId,
        is_beyond: impl Fn(&StoredEvent) -> bool,
    ) -> Result<Survey, ReadError> {
        let (mut next, mut skipped, mut unreadable) = (0, HashSet::new(), BTreeMap::new());
        'pages: loop {
            let events = match page(self.store, book, next).await {
                Err(ReadError::Deleted) => return Ok(Survey::Waits(DELETED.to_owned())),
                read => read?,
            };
            for event in &events {
                if is_beyond(event) {
                    break 'pages;
                }
                if event.revision != next {
                    let found = event.revision;
                    return Ok(Survey::Waits(format!("revision {found} came where {next} was expected")));
                }
                next += 1;
                match decode(event) {
                    Some(Understood::Happened(happening)) => {
                        skipped.extend(happening.event.skips(event.revision));
                    }
                    Some(Understood::Unreadable(trouble)) => {
                        unreadable.insert(event.revision, trouble.reason);
                    }
                    None => {}
                }
            }
            if events.len() < PAGE {
                break;
            }
        }
        let reason = unreadable.into_iter().find(|(revision, _)| !skipped.contains(revision));
        Ok(match (reason, next.checked_sub(1)) {
            (Some((_, reason)), _) => Survey::Waits(reason),
            (None, Some(last)) => Survey::Foldable { skipped, last },
            (None, None) => Survey::Waits("the event store has no event of it any more".to_owned()),
        })
    }
}

async fn page(store: &impl EventStore, book: BookId, from: u64) -> Result<Vec<StoredEvent>, ReadError> {
    store.read_stream(&book.stream(), Start::At(from), Direction::Forwards, PAGE).await
}
