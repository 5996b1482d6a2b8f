//! Appending what another store has, each event at the very revision that it has there: so what is there already is
//! recognised, and whatever was interrupted can be run again.

use crate::record::Record;
use anyhow::{Context as _, bail, ensure};
use event_store::{AppendError, Direction, EventStore as _, Expected, Kurrent, NewEvent, Start};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The most events and bytes of one append: old servers take a mebibyte.
const APPEND_EVENTS: usize = 500;
const APPEND_BYTES: usize = 900_000;

/// The streams that are appended to at the same time.
const STREAMS: usize = 64;

/// How often a target that is away is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// In which order events reach the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Within each stream.
    PerStream,
    /// Over all streams, one append after the other.
    Strict,
}

/// What carries events to a store.
pub(crate) struct Carrier {
    pub(crate) target: Kurrent,
    pub(crate) order: Order,
    /// How long a target may be away; `None`: as long as it likes.
    pub(crate) patience: Option<Duration>,
}

impl Carrier {
    /// Carries `records`, which come in the order of their store.
    ///
    /// # Errors
    /// When the target has something else in a place, refuses an event, or stays away.
    pub(crate) async fn carry(&self, records: Vec<Record>) -> anyhow::Result<()> {
        match self.order {
            Order::Strict => {
                for run in runs(records) {
                    self.append(run).await?;
                }
            }
            Order::PerStream => {
                let appends = stream::iter(by_stream(records)).map(|run| self.append(run));
                appends.buffer_unordered(STREAMS).try_collect::<Vec<()>>().await?;
            }
        }
        Ok(())
    }

    /// Appends events of one stream.
    async fn append(&self, run: Vec<Record>) -> anyhow::Result<()> {
        let mut rest = run.as_slice();
        while let Some(first) = rest.first() {
            let now = fitting(rest);
            let done = self.append_or_recognise(first, &rest[..now]).await;
            rest = &rest[done.with_context(|| told(&rest[..now]))?..];
        }
        Ok(())
    }

    /// Answers how many of the events are in the target now.
    async fn append_or_recognise(&self, first: &Record, records: &[Record]) -> anyhow::Result<usize> {
        let expected = first.revision.checked_sub(1).map_or(Expected::NoStream, Expected::Revision);
        let events: Vec<NewEvent> = records.iter().map(|record| record.event.clone()).collect();
        let last = first.revision + records.len() as u64 - 1;
        let began = Instant::now();
        loop {
            let error = match self.target.append(&first.stream, expected, events.clone()).await {
                Ok(appended) => {
                    let found = appended.revision;
                    ensure!(found == last, "the target put them up to revision {found}, not {last}");
                    return Ok(records.len());
                }
                Err(error) => error,
            };
            match error {
                AppendError::Conflict { current, .. } => return self.recognise(current, records).await,
                AppendError::Refused(_) | AppendError::Deleted => return Err(error.into()),
                AppendError::Unavailable(_) | AppendError::OutcomeUnknown(_) => {
                    if self.patience.is_some_and(|patience| began.elapsed() > patience) {
                        return Err(anyhow::Error::new(error).context("the target stays away"));
                    }
                    tracing::warn!(%error, "the target is away; going on when it is back");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// The first of these events that are in the target already, which has the stream up to `current`.
    async fn recognise(&self, current: Option<u64>, records: &[Record]) -> anyhow::Result<usize> {
        let Some(first) = records.first() else { return Ok(0) };
        let there = current.map_or(0, |last| last + 1).saturating_sub(first.revision);
        ensure!(
            there > 0,
            "the target has {} of the {} events before; a source that does not begin with its first event cannot be \
             carried",
            current.map_or(0, |last| last + 1),
            first.revision
        );
        let limit = usize::try_from(there).unwrap_or(usize::MAX).min(records.len());
        let (from, forwards) = (Start::At(first.revision), Direction::Forwards);
        let stored = self.target.read_stream(&first.stream, from, forwards, limit).await?;
        for (record, stored) in records.iter().zip(&stored) {
            if stored.id != record.event.id || stored.revision != record.revision {
                bail!(
                    "the target has event {} at revision {}, where the source has event {}: it holds other events; \
                     carry to an empty store, or to one that was carried to from this source",
                    stored.id,
                    stored.revision,
                    record.event.id
                );
            }
        }
        ensure!(!stored.is_empty(), "the target has events there and does not show them");
        Ok(stored.len())
    }
}

/// How a failure names the events.
fn told(records: &[Record]) -> String {
    match records {
        [one] => format!("{} revision {}", one.stream, one.revision),
        [first, .., last] => format!("{} revisions {} to {}", first.stream, first.revision, last.revision),
        [] => String::new(),
    }
}

/// How many of the first events go into one append.
fn fitting(records: &[Record]) -> usize {
    let mut bytes = 0;
    let fits = |record: &&Record| {
        bytes += record.size();
        bytes <= APPEND_BYTES
    };
    records.iter().take(APPEND_EVENTS).take_while(fits).count().max(1)
}

/// The events of each stream, each in its order.
fn by_stream(records: Vec<Record>) -> Vec<Vec<Record>> {
    let (mut places, mut streams) = (HashMap::new(), Vec::<Vec<Record>>::new());
    for record in records {
        let place = *places.entry(record.stream.clone()).or_insert(streams.len());
        match streams.get_mut(place) {
            Some(stream) => stream.push(record),
            None => streams.push(vec![record]),
        }
    }
    streams
}

/// Events of one stream that come right after each other.
fn runs(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut runs = Vec::<Vec<Record>>::new();
    for record in records {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| last.stream == record.stream) => run.push(record),
            _ => runs.push(vec![record]),
        }
    }
    runs
}
