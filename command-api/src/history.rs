//! Reading a stream back into a state.
//!
//! Each event's metadata says what the state was after it, so the last event is enough. Where that is missing or
//! cannot be read, the whole stream is folded. An event that cannot be decoded is an error, never skipped, unless an
//! operator said so in the stream itself.

mod error;

use crate::identity::{CommandHash, fingerprint};
use crate::recent::{Booked, Recent, WINDOW};
use domain::Persist;
pub(crate) use error::HistoryError;
use event_store::{Appended, Direction, EventStore, Start, StoredEvent};
use serde::Deserialize;
use serde_json::value::RawValue;
use service_kit::metrics::Counter;
use std::collections::HashSet;
use tokio::time::Instant;

static EVENTS_READ: Counter<0> = Counter::new(
    "command_events_read_total",
    "Events that were read from the event store to decide commands, to answer repeats, or to show a book.",
    [],
);

/// How many events are read at a time.
const PAGE: usize = 1_000;

/// What is known of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Loaded<A> {
    /// The state after its last event.
    pub(crate) state: A,
    /// Where its last event is; none if it has no event.
    pub(crate) last: Option<Appended>,
    /// The commands behind its last events.
    pub(crate) recent: Recent,
    /// That others work on it too, if they did lately. Few have it, and there are many in memory.
    pub(crate) contention: Option<Box<Contention>>,
}

/// Others work on the same stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contention {
    /// As long as nothing more is seen of them.
    pub(crate) until: Instant,
    /// Until then it is their turn.
    pub(crate) theirs: Instant,
}

impl<A: Persist> Loaded<A> {
    fn nothing(reach: u64) -> Self {
        Self { state: A::default(), last: None, recent: Recent::since(0, reach), contention: None }
    }
}

/// One event of a stream, and the state it led to.
#[derive(Debug)]
pub(crate) struct Moment<A: Persist> {
    /// The event.
    pub(crate) event: A::Event,
    /// The state after it.
    pub(crate) state: A,
    /// Where it is.
    pub(crate) at: Appended,
}

/// Loads the stream from its last event backwards: the state, and the commands behind its last `reach` events.
pub(crate) async fn load<A: Persist>(
    store: &impl EventStore,
    stream: &str,
    reach: u64,
) -> Result<Loaded<A>, HistoryError> {
    let mut left = usize::try_from(reach).unwrap_or(usize::MAX).max(1);
    let mut events = read(store, stream, Start::End, Direction::Backwards, left.min(PAGE)).await?;
    let Some(last) = events.first() else { return Ok(Loaded::nothing(reach)) };
    let Moment { state, at, .. } = resume(store, stream, last).await?;
    // The reach of a long list is a hundred pages, of which only the commands are kept.
    let (mut commands, mut oldest) = (Vec::new(), 0);
    while let Some(event) = events.last() {
        oldest = event.revision;
        commands.extend(events.iter().filter_map(booked));
        left = left.saturating_sub(events.len());
        if left == 0 || oldest == 0 {
            break;
        }
        events = read(store, stream, Start::At(oldest - 1), Direction::Backwards, left.min(PAGE)).await?;
    }
    Ok(Loaded { state, last: Some(at), recent: behind(oldest, commands, reach), contention: None })
}

/// The `commands`, the newest of which comes first, behind the events from revision `oldest` on. If nobody asks for keys, the one
/// event that was read for its state is not looked at for its own, so that a repeat of its command makes the stream be read again.
fn behind(oldest: u64, commands: Vec<Booked>, reach: u64) -> Recent {
    if reach == 0 {
        return Recent::since(oldest + 1, reach);
    }
    let mut recent = Recent::since(oldest, reach);
    commands.into_iter().rev().for_each(|booked| recent.push(booked));
    recent
}

/// Folds on what came after `loaded`. Answers whether anything did.
pub(crate) async fn catch_up<A: Persist>(
    store: &impl EventStore,
    stream: &str,
    loaded: &mut Loaded<A>,
) -> Result<bool, HistoryError> {
    let mut found_any = false;
    loop {
        let from = next_revision(loaded.last);
        let events = read(store, stream, Start::At(from), Direction::Forwards, PAGE).await?;
        for event in &events {
            match decode::<A>(event) {
                Ok(decoded) if A::skips(&decoded, event.revision).is_none() => {
                    evolve(loaded, event, &decoded)?;
                }
                // What follows may take this event out, or this one takes out what is known: the last event tells.
                Ok(_) | Err(_) => {
                    *loaded = load(store, stream, WINDOW).await?;
                    return Ok(true);
                }
            }
            if let Some(booked) = booked(event) {
                loaded.recent.push(booked);
            }
        }
        found_any |= !events.is_empty();
        if events.len() < PAGE {
            return Ok(found_any);
        }
    }
}

/// The last event of the stream, if it has one.
pub(crate) async fn last<A: Persist>(
    store: &impl EventStore,
    stream: &str,
) -> Result<Option<Moment<A>>, HistoryError> {
    let events = read(store, stream, Start::End, Direction::Backwards, 1).await?;
    match events.first() {
        Some(event) => resume(store, stream, event).await.map(Some),
        None => Ok(None),
    }
}

/// The events from revision `first` to `last`, which are known to be there, each with the place at which its command
/// was answered: that of the last event of its append.
pub(crate) async fn answered<A: Persist>(
    store: &impl EventStore,
    stream: &str,
    first: u64,
    last: u64,
) -> Result<Vec<Result<Moment<A>, HistoryError>>, HistoryError> {
    let mut events = between(store, stream, first, last).await?;
    let end = |event: &StoredEvent| event.revision.saturating_add(Told::by(event).more_in_append);
    let furthest = events.iter().map(end).max().unwrap_or(last);
    if furthest > last {
        events.extend(between(store, stream, last + 1, furthest).await?);
    }
    let mut moments = Vec::new();
    for event in events.iter().take_while(|event| event.revision <= last) {
        let end = end(event);
        let place = events.iter().find(|event| event.revision == end).map(|event| event.position);
        let moment = resume(store, stream, event).await.map(|moment| {
            let position = place.unwrap_or(event.position);
            Moment { at: Appended { position, ..moment.at }, ..moment }
        });
        moments.push(moment);
    }
    Ok(moments)
}

async fn between(
    store: &impl EventStore,
    stream: &str,
    first: u64,
    last: u64,
) -> Result<Vec<StoredEvent>, HistoryError> {
    let limit = usize::try_from(last - first).unwrap_or(PAGE).saturating_add(1);
    read(store, stream, Start::At(first), Direction::Forwards, limit).await
}

async fn read(
    store: &impl EventStore,
    stream: &str,
    from: Start<u64>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<StoredEvent>, HistoryError> {
    let events = store.read_stream(stream, from, direction, limit).await?;
    EVENTS_READ.of([]).increment(events.len() as u64);
    Ok(events)
}

/// The state after `stored`: as its metadata says, else by folding all up to it.
async fn resume<A: Persist>(
    store: &impl EventStore,
    stream: &str,
    stored: &StoredEvent,
) -> Result<Moment<A>, HistoryError> {
    let event = decode::<A>(stored)?;
    let after = Told::by(stored).after.and_then(|after| serde_json::from_str(after.get()).ok());
    let state = match after {
        Some(after) => A::resume(after, &event),
        None => {
            tracing::debug!(stream, revision = stored.revision, "folding the whole stream");
            fold_to(store, stream, stored.revision).await?
        }
    };
    Ok(Moment { event, state, at: place(stored) })
}

/// Folds the stream from its beginning to `revision`, without what is taken out of it by then.
async fn fold_to<A: Persist>(
    store: &impl EventStore,
    stream: &str,
    revision: u64,
) -> Result<A, HistoryError> {
    let mut skipped = HashSet::new();
    walk_to(store, stream, revision, |stored| {
        skipped.extend(decode::<A>(stored).ok().and_then(|event| A::skips(&event, stored.revision)));
        Ok(())
    })
    .await?;
    let mut state = A::default();
    walk_to(store, stream, revision, |stored| {
        if !skipped.contains(&stored.revision) {
            state = std::mem::take(&mut state).evolve(&decode::<A>(stored)?);
        }
        Ok(())
    })
    .await?;
    Ok(state)
}

/// Shows `visit` every event from the first to the one at `revision`, and proves that none is missing.
async fn walk_to(
    store: &impl EventStore,
    stream: &str,
    revision: u64,
    mut visit: impl FnMut(&StoredEvent) -> Result<(), HistoryError>,
) -> Result<(), HistoryError> {
    let mut next = 0;
    while next <= revision {
        let limit = usize::try_from(revision - next).unwrap_or(PAGE).saturating_add(1).min(PAGE);
        let events = read(store, stream, Start::At(next), Direction::Forwards, limit).await?;
        if events.is_empty() {
            return Err(HistoryError::Unreadable { revision: Some(next), reason: "it is gone".to_owned() });
        }
        for event in &events {
            expect(next, event)?;
            visit(event)?;
            next += 1;
        }
    }
    Ok(())
}

fn next_revision(last: Option<Appended>) -> u64 {
    last.map_or(0, |last| last.revision + 1)
}

fn evolve<A: Persist>(
    loaded: &mut Loaded<A>,
    stored: &StoredEvent,
    event: &A::Event,
) -> Result<(), HistoryError> {
    expect(next_revision(loaded.last), stored)?;
    loaded.state = std::mem::take(&mut loaded.state).evolve(event);
    loaded.last = Some(place(stored));
    Ok(())
}

fn expect(revision: u64, stored: &StoredEvent) -> Result<(), HistoryError> {
    if stored.revision == revision {
        return Ok(());
    }
    let reason = format!("revision {} came in its place", stored.revision);
    Err(HistoryError::Unreadable { revision: Some(revision), reason })
}

fn decode<A: Persist>(stored: &StoredEvent) -> Result<A::Event, HistoryError> {
    A::decode(&stored.event_type, &stored.data, &stored.metadata).map_err(|error| HistoryError::Unreadable {
        revision: Some(stored.revision),
        reason: error.to_string(),
    })
}

fn place(stored: &StoredEvent) -> Appended {
    Appended { revision: stored.revision, position: stored.position }
}

fn booked(stored: &StoredEvent) -> Option<Booked> {
    let told = Told::by(stored);
    Some(Booked {
        key: fingerprint(&told.idempotency_key?),
        command: told.command_hash.as_deref().and_then(CommandHash::fingerprint_of_hex),
        revision: stored.revision,
    })
}

/// What the metadata of an event tells us, as far as it does.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(borrow, default)]
    after: Option<&'a RawValue>,
    idempotency_key: Option<String>,
    command_hash: Option<String>,
    #[serde(default)]
    more_in_append: u64,
}

impl<'a> Told<'a> {
    fn by(stored: &'a StoredEvent) -> Self {
        serde_json::from_slice(&stored.metadata).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_store::{ContentType, Position};
    use uuid::Uuid;

    fn stored(metadata: &str) -> StoredEvent {
        StoredEvent {
            stream: "book-1".to_owned(),
            revision: 4,
            position: Position(99),
            id: Uuid::nil(),
            event_type: "Renewed".to_owned(),
            content_type: ContentType::Json,
            data: bytes::Bytes::new(),
            metadata: bytes::Bytes::copy_from_slice(metadata.as_bytes()),
            created_micros: 0,
        }
    }

    #[test]
    fn the_command_behind_an_event_is_read_from_its_metadata() {
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let event = stored(&format!(r#"{{"idempotencyKey":"a\u002db","commandHash":"{hash}","new":[]}}"#));
        let expected =
            Booked { key: fingerprint("a-b"), command: CommandHash::fingerprint_of_hex(hash), revision: 4 };
        assert_eq!(booked(&event), Some(expected));
    }

    #[test]
    fn a_key_that_nobody_asked_for_when_its_event_was_read_counts_as_not_known() {
        let at = |revision| vec![Booked { key: fingerprint("k"), command: None, revision }];
        for first in [0, 4, 5_000] {
            let read = behind(first, at(first), 0);
            // The window reaches back to that event, and then to the one after it.
            assert!(!read.covers(first, WINDOW) && !read.covers(first + WINDOW - 1, WINDOW), "{first}");
            assert!(read.covers(first + WINDOW, WINDOW), "{first}");
        }
        let read = behind(5_000, at(5_000), WINDOW);
        assert_eq!(read.find(fingerprint("k")).map(|booked| booked.revision), Some(5_000));
        assert!(read.covers(5_000 + WINDOW - 1, WINDOW) && !read.covers(5_000, WINDOW));
        assert!(behind(0, at(0), WINDOW).covers(0, WINDOW));
    }

    #[test]
    fn an_event_without_our_metadata_has_no_command_behind_it() {
        for metadata in ["", "{}", "null", "[1]", "no json", r#"{"idempotencyKey":7}"#] {
            assert_eq!(booked(&stored(metadata)), None, "{metadata}");
            assert!(Told::by(&stored(metadata)).after.is_none(), "{metadata}");
        }
    }
}
