//! Hearing the log, in order and in batches, up to where one wants to be.

use anyhow::{Context as _, anyhow, bail, ensure};
use event_store::{
    Direction, EventStore, Filter, Follow, Heard, Kurrent, Position, ReadError, Start, StoredEvent,
};
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// The most events in a batch.
const BATCH: usize = 4_096;

/// A store that says nothing for so long, in the middle of its history, is given up.
static PATIENCE: OnceLock<Duration> = OnceLock::new();

/// How long that is, unless something else is asked for.
pub(crate) const DEFAULT_PATIENCE_SECS: u64 = 30;

/// A timer that is so late says that this process was stopped for a while, by Ctrl-Z for instance.
const STOOD_STILL: Duration = Duration::from_millis(100);

/// From now on, a store has so long. It is asked for once, when the program begins.
pub(crate) fn be_patient(secs: u64) {
    let _ = PATIENCE.set(Duration::from_secs(secs));
}

fn patience() -> Duration {
    *PATIENCE.get_or_init(|| Duration::from_secs(DEFAULT_PATIENCE_SECS))
}

/// How far is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// To the end that the log has now, or to this position if it comes first.
    End(Option<Position>),
    /// For ever.
    Stopped,
}

/// The log from some place on.
pub(crate) struct Hearing {
    store: Kurrent,
    heard: Box<dyn Stream<Item = Heard> + Send + Unpin>,
    until: Until,
    /// The last event heard: by it, a store that was lost proves to be the same one.
    last: Option<(Position, Uuid)>,
    interrupted: bool,
    ended: bool,
}

/// Hears the streams that begin with one of `prefixes`, or all, after `from`.
pub(crate) fn hear(
    store: &Kurrent,
    from: Option<(Position, Uuid)>,
    prefixes: &[&str],
    until: Until,
) -> Hearing {
    let filter = Filter { stream_prefixes: prefixes.iter().map(|&prefix| prefix.to_owned()).collect() };
    let after = from.map_or(Follow::FromBeginning, |(position, _)| Follow::After(position));
    let heard = Box::new(store.follow(after, filter));
    Hearing { store: store.clone(), heard, until, last: from, interrupted: from.is_some(), ended: false }
}

impl Hearing {
    /// The next events, at least one; `None` at the end.
    ///
    /// # Errors
    /// When the store stays away, or is another one when it is back.
    pub(crate) async fn batch(&mut self) -> anyhow::Result<Option<Vec<StoredEvent>>> {
        let mut batch = Vec::new();
        while !self.ended && batch.len() < BATCH {
            let next = match self.heard.next().now_or_never() {
                Some(next) => next,
                None if !batch.is_empty() => break,
                None => self.wait().await?,
            };
            match next.context("following the event store ended by itself")? {
                Heard::Event(event) => self.take(event, &mut batch).await?,
                Heard::CaughtUp => self.ended = self.until != Until::Stopped,
                Heard::Interrupted(reason) => {
                    tracing::warn!(reason, "the event store was lost; going on when it is back");
                    self.interrupted = true;
                }
            }
        }
        Ok(if batch.is_empty() && self.ended { None } else { Some(batch) })
    }

    async fn wait(&mut self) -> anyhow::Result<Option<Heard>> {
        if self.until == Until::Stopped {
            return Ok(self.heard.next().await);
        }
        let patience = patience();
        within(patience, self.heard.next()).await.with_context(|| {
            format!("the event store said nothing for {} s; check that it runs", patience.as_secs())
        })
    }

    async fn take(&mut self, event: StoredEvent, batch: &mut Vec<StoredEvent>) -> anyhow::Result<()> {
        if std::mem::take(&mut self.interrupted)
            && let Some((position, id)) = self.last
        {
            let found = self.store.read_at(position).await?.map(|event| event.id);
            ensure!(
                found == Some(id),
                "this is another event store than before: event {id} is not at position {position} any more"
            );
        }
        if let Until::End(Some(end)) = self.until {
            self.ended = event.position >= end;
            if event.position > end {
                return Ok(());
            }
        }
        self.last = Some((event.position, event.id));
        batch.push(event);
        Ok(())
    }
}

/// What comes within so much time in which this process ran.
async fn within<T>(patience: Duration, comes: impl Future<Output = T>) -> Option<T> {
    let mut comes = pin!(comes);
    loop {
        let began = Instant::now();
        match timeout(patience, &mut comes).await {
            Ok(came) => return Some(came),
            // It was this process that stood still: what came meanwhile is still to be looked at.
            Err(_) if began.elapsed() > patience + STOOD_STILL => {}
            Err(_) => return None,
        }
    }
}

/// The last event of the whole log.
pub(crate) async fn last(store: &Kurrent) -> anyhow::Result<Option<StoredEvent>> {
    Ok(store.read_all(Start::End, Direction::Backwards, 1).await?.into_iter().next())
}

/// All events of a stream; a stream without any is an error.
pub(crate) async fn stream(store: &Kurrent, name: &str) -> anyhow::Result<Vec<StoredEvent>> {
    let events = store.read_stream(name, Start::Beginning, Direction::Forwards, usize::MAX).await;
    let events = events.map_err(|error| why_unread(name, error))?;
    if events.is_empty() {
        bail!("there is no stream {name}");
    }
    Ok(events)
}

/// The events that a stream still tells: none if it is deleted, for ever or not.
pub(crate) async fn what_is_left(store: &Kurrent, name: &str) -> Result<Vec<StoredEvent>, ReadError> {
    match store.read_stream(name, Start::Beginning, Direction::Forwards, usize::MAX).await {
        Err(ReadError::Deleted) => Ok(Vec::new()),
        read => read,
    }
}

/// Why a stream could not be read, for people.
pub(crate) fn why_unread(name: &str, error: ReadError) -> anyhow::Error {
    match error {
        ReadError::Deleted => anyhow!(
            "{name} is deleted for ever: its events cannot be read any more, and none can be appended"
        ),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;
    use tokio::time::{advance, sleep};

    #[tokio::test(start_paused = true)]
    async fn a_store_is_given_up_after_some_time_that_this_process_has_not_spent_stopped() {
        let patience = Duration::from_secs(30);
        assert_eq!(within(patience, sleep(Duration::from_secs(29))).await, Some(()));
        assert_eq!(within(patience, sleep(Duration::from_secs(31))).await, None);

        let (sender, comes) = oneshot::channel();
        let waiting = tokio::spawn(within(patience, comes));
        tokio::task::yield_now().await;
        advance(Duration::from_secs(300)).await;
        tokio::task::yield_now().await;
        sender.send(7).unwrap();
        assert_eq!(waiting.await.unwrap(), Some(Ok(7)));
    }
}
