//! Trying a parked stream again: it is read from its first event on, and folded anew if every event of it can be applied
//! by now.

use crate::follow::Owned;
use crate::hear::{Understood, decode};
use crate::shift::End;
use crate::views::VIEWS;
use domain::book::BookId;
use event_store::{Direction, EventStore, ReadError, Start, StoredEvent};
use read_model::database::Connection;
use read_model::lease::{Checkpoint, Lease};
use read_model::parked;
use read_model::refold::Refold;
use std::collections::{BTreeMap, HashSet};

/// How many events are read at a time.
const PAGE: usize = 1_000;

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

/// Tries the stream of `book` again, for a generation that is written by somebody else than a projector.
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
    match (Retry { store, connection, lease, checkpoint }).retry(book).await {
        Ok(()) => Ok(()),
        Err(End::DatabaseLost(reason) | End::StoreLost(reason)) => Err(anyhow::Error::msg(reason)),
        Err(end) => Err(anyhow::anyhow!("the lease was lost ({end:?})")),
    }
}

impl<Store: EventStore> Owned<'_, Store> {
    /// Tries the stream of `book` again. While the event store is away, it is left for later.
    pub(crate) async fn retry(&mut self, book: BookId) -> Result<(), End> {
        let Self { store, connection, lease, checkpoint, writers, .. } = self;
        writers.forget();
        Retry { store: *store, connection, lease, checkpoint: *checkpoint }.retry(book).await
    }
}

impl<Store: EventStore> Retry<'_, Store> {
    async fn retry(&mut self, book: BookId) -> Result<(), End> {
        let (skipped, last) = match self.survey(book).await {
            Ok(Survey::Foldable { skipped, last }) => (skipped, last),
            Ok(Survey::Waits(reason)) => {
                parked::wait_on(self.connection, self.lease, book, &reason).await?;
                tracing::error!(
                    stream = book.stream(),
                    generation = self.lease.generation,
                    reason,
                    "a stream is parked: its book stays as it is, all others go on; see `replay parked`"
                );
                return Ok(());
            }
            Err(error) => {
                tracing::warn!(stream = book.stream(), %error, "a parked stream could not be read again; later");
                return Ok(());
            }
        };
        let mut refold = Refold::begin(self.connection, self.lease, self.checkpoint, book, VIEWS).await?;
        let mut next = 0;
        while next <= last {
            let events = match page(self.store, book, next).await {
                Ok(events) if !events.is_empty() => events,
                Ok(_) | Err(_) => {
                    return Err(End::StoreLost("a stream could not be read to its end".to_owned()));
                }
            };
            let up_to_last = events.iter().take_while(|event| event.revision <= last);
            let mut happenings = Vec::new();
            for event in up_to_last.filter(|event| !skipped.contains(&event.revision)) {
                if let Some(Understood::Happened(happening)) = decode(event) {
                    happenings.push(happening);
                }
            }
            refold.apply(&happenings).await?;
            next += u64::try_from(events.len()).unwrap_or(u64::MAX);
        }
        refold.commit(last).await?;
        tracing::info!(
            stream = book.stream(),
            generation = self.lease.generation,
            "a stream was folded anew"
        );
        Ok(())
    }

    async fn survey(&self, book: BookId) -> Result<Survey, ReadError> {
        let (mut next, mut skipped, mut unreadable) = (0, HashSet::new(), BTreeMap::new());
        'pages: loop {
            let events = page(self.store, book, next).await?;
            for event in &events {
                if event.position.0 > self.checkpoint.position {
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
