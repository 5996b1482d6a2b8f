//! Taking an event that nobody can read out of a book's stream.

use crate::fold;
use crate::log;
use crate::places::Places;
use crate::tell::{Outcome, Tell};
use anyhow::Context as _;
use domain::book::{After, Book, BookEvent, BookId, Reason, Skip};
use domain::metadata::SCHEMA_VERSION;
use domain::{Decide as _, Evolve as _, Metadata, Persist as _, Timestamp};
use event_store::{ContentType, EventStore as _, Expected, NewEvent, Position, StoredEvent};
use serde::Serialize;
use uuid::Uuid;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Skipped {
    stream: String,
    skipped: u64,
    revision: u64,
    position: String,
    reason: Reason,
    /// The events of the stream that nobody can read even so: each needs a skip of its own.
    still_unreadable: usize,
}

/// Appends the event that takes an unreadable one out. The same again finds it done.
pub(super) async fn skip(
    places: &Places,
    tell: Tell,
    book: BookId,
    reason: Reason,
    revision: Option<u64>,
) -> anyhow::Result<Outcome> {
    let store = places.store()?;
    let stream = book.stream();
    let events = log::stream(&store, &stream).await?;
    let skipped = fold::skipped(&events);
    let is_asked_for = |candidate| revision.is_none_or(|revision| revision == candidate);
    let is_unreadable =
        |event: &&StoredEvent| !skipped.contains(&event.revision) && fold::decode(event).is_err();
    let unreadable: Vec<&StoredEvent> = events.iter().filter(is_unreadable).collect();
    let (taken_out, revision, position) = match unreadable.iter().find(|event| is_asked_for(event.revision)) {
        Some(unreadable) => {
            let last = events.last().map_or(0, |event| event.revision);
            let event = taking_out(book, unreadable, &events, &reason)?;
            let appended =
                store.append(&stream, Expected::Revision(last), vec![event]).await.with_context(|| {
                    let revision = unreadable.revision;
                    format!(
                        "{stream} may have been changed or not; run the same again, with --revision {revision}"
                    )
                })?;
            (unreadable.revision, appended.revision, appended.position)
        }
        None => done_before(book, &events, is_asked_for, &reason).with_context(|| match revision {
            Some(revision) if skipped.contains(&revision) => {
                format!("event {revision} of {stream} is taken out already, for another reason")
            }
            Some(revision) if events.iter().any(|event| event.revision == revision) => {
                format!("event {revision} of {stream} can be read, so it is not to be skipped")
            }
            Some(revision) => format!("{stream} has no event {revision}"),
            None => format!("every event of {stream} can be read, so there is nothing to skip"),
        })?,
    };
    let told = Skipped {
        stream,
        skipped: taken_out,
        revision,
        position: position.to_string(),
        reason,
        still_unreadable: unreadable.iter().filter(|event| event.revision != taken_out).count(),
    };
    tell.document(&told, || told.text())?;
    Ok(Outcome::Done)
}

impl Skipped {
    fn text(&self) -> String {
        let Self { stream, skipped, revision, position, still_unreadable, .. } = self;
        let then = match still_unreadable {
            0 => "the projector folds the book anew".to_owned(),
            many => format!("{many} more of its events cannot be read: the book waits until each is skipped"),
        };
        format!(
            "event {skipped} of {stream} is taken out, by event {revision} at position {position}; {then}"
        )
    }
}

/// The skip that this command appended before for this reason, if its answer was lost: what it took out, and where it is.
fn done_before(
    book: BookId,
    events: &[StoredEvent],
    is_asked_for: impl Fn(u64) -> bool,
    reason: &Reason,
) -> Option<(u64, u64, Position)> {
    events.iter().rev().find_map(|event| {
        let happened = fold::decode(event).ok()??.event;
        let skipped = happened.skips(event.revision).filter(|skipped| is_asked_for(*skipped))?;
        let is_it = matches!(&happened, BookEvent::Skipped(skip) if skip.reason == *reason);
        (is_it && event.id == id_of(book, skipped)).then_some((skipped, event.revision, event.position))
    })
}

/// What the skip of an event has for a key.
fn key_of(skipped: u64) -> String {
    format!("replay parked skip {skipped}")
}

/// The same skip has the same id, however often it is sent.
fn id_of(book: BookId, skipped: u64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}\n{}", book.stream(), key_of(skipped)).as_bytes())
}

fn taking_out(
    book_id: BookId,
    unreadable: &StoredEvent,
    events: &[StoredEvent],
    reason: &Reason,
) -> anyhow::Result<NewEvent> {
    let skipped = fold::skipped(events);
    let is_left =
        |event: &&StoredEvent| event.revision != unreadable.revision && !skipped.contains(&event.revision);
    let left: Vec<_> = events.iter().filter(is_left).map(fold::decode).collect();
    let is_whole = left.iter().all(Result::is_ok);
    let happenings = left.into_iter().filter_map(|happening| happening.ok().flatten());
    let book = happenings.fold(Book::default(), |book, happening| book.evolve(&happening.event));
    let at = Timestamp::from_unix_micros(service_kit::clock::unix_micros())?;
    let command = Skip { book_id, revision: unreadable.revision, reason: reason.clone(), at };
    let Ok(decided) = command.decide(&book);
    let event = decided.into_iter().next().context("a skip is an event")?;
    let id = id_of(book_id, unreadable.revision);
    let metadata = Metadata {
        schema_version: SCHEMA_VERSION,
        after: book.evolve(&event).after(),
        idempotency_key: key_of(unreadable.revision),
        command_hash: String::new(),
        // Whoever runs this tool has no token, and a name is not to be kept.
        actor: None,
        more_in_append: 0,
        correlation_id: id.to_string(),
        causation_id: id.to_string(),
        traceparent: None,
    };
    // Nobody knows what the book is while another of its events cannot be read.
    let metadata = if is_whole { serde_json::to_vec(&metadata)? } else { without_after(&metadata)? };
    let (event_type, data) = Book::encode(&event);
    Ok(NewEvent {
        id,
        event_type: event_type.to_owned(),
        content_type: ContentType::Json,
        data: data.into(),
        metadata: metadata.into(),
    })
}

/// The metadata without a word of what the book is after the event. A command that finds none folds the stream, and stops at
/// the event that cannot be read; a word it would believe.
fn without_after(metadata: &Metadata<Option<After>>) -> serde_json::Result<Vec<u8>> {
    let mut metadata = serde_json::to_value(metadata)?;
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("after");
    }
    serde_json::to_vec(&metadata)
}
