//! A change to a stream, decided and written into the writer's transaction: an append, or one of the two ways to delete.

use super::decide::{Decision, ExpectedRevision, Place, decide};
use super::event::{
    METADATA_EVENT_TYPE, METADATA_STREAM_PREFIX, Position, ProposedEvent, Revision, TOMBSTONE, TOMBSTONE_TYPE,
};
use super::reader::ReadError;
use super::staged::{Head, Staged, StreamPast};
use super::stream_metadata::{DELETION, StreamMetadata};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

/// What a writer asks for.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) stream: Arc<str>,
    pub(crate) expected: ExpectedRevision,
    pub(crate) what: What,
    /// The memory that its events may take, given back with them: who asked may be gone long before.
    #[expect(dead_code, reason = "it is only dropped")]
    pub(crate) held: Option<OwnedSemaphorePermit>,
}

/// The kinds of change.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// These events go to the stream's end.
    Append(Vec<ProposedEvent>),
    /// Its events are not visible any more; it goes on with the next append.
    Delete,
    /// It ends for ever.
    Tombstone,
}

impl Change {
    /// How much is to be written, in bytes.
    pub(super) fn size(&self) -> usize {
        match &self.what {
            What::Append(events) => events.iter().map(ProposedEvent::size).sum(),
            What::Delete | What::Tombstone => DELETION.len(),
        }
    }
}

/// The answer to a change that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// The events are in the stream, now or since an earlier append of the same events.
    Durable {
        /// Of the last event appended, or of the stream if none was; nothing if it has none.
        revision: Option<Revision>,
        /// Of the last event appended, if there was one.
        position: Option<Position>,
    },
    /// Nothing was written: the stream is not as the writer expected.
    WrongExpectedRevision {
        /// The stream's last revision, if it has one.
        current: Option<Revision>,
    },
    /// Nothing was written: the stream is deleted for ever.
    StreamDeleted,
}

/// Decides one change and writes its events into the transaction.
pub(super) fn place(change: &Change, staged: &mut Staged<'_>) -> Result<Changed, ReadError> {
    let Change { stream, expected, what, .. } = change;
    if let Some(of) = stream.strip_prefix(METADATA_STREAM_PREFIX)
        && staged.head(of)?.is_some_and(|head| head.last == TOMBSTONE)
    {
        return Ok(Changed::StreamDeleted);
    }
    let head = staged.head(stream)?;
    let last = head.map(|head| head.last);
    let written = match what {
        What::Append(events) => {
            let ids = events.iter().map(|event| event.id);
            match decide(*expected, last, ids, &mut StreamPast { name: stream, head, staged })? {
                Decision::Write => append(stream, head, events, staged)?,
                Decision::Repeated(place) => Some(place),
                Decision::WrongExpectedRevision => {
                    return Ok(Changed::WrongExpectedRevision { current: last });
                }
                Decision::StreamDeleted => return Ok(Changed::StreamDeleted),
            }
        }
        What::Delete | What::Tombstone => {
            let event = match what {
                What::Tombstone => system_event(TOMBSTONE_TYPE, Bytes::new()),
                What::Append(_) | What::Delete => {
                    system_event(METADATA_EVENT_TYPE, Bytes::from_static(DELETION.as_bytes()))
                }
            };
            let ids = std::iter::once(event.id);
            match decide(*expected, last, ids, &mut StreamPast { name: stream, head, staged })? {
                Decision::Write => {}
                // The id is new, so this is none; the compiler cannot know.
                Decision::Repeated(_) | Decision::WrongExpectedRevision => {
                    return Ok(Changed::WrongExpectedRevision { current: last });
                }
                Decision::StreamDeleted => return Ok(Changed::StreamDeleted),
            }
            if matches!(what, What::Tombstone) {
                staged.end(stream, head, event)?
            } else {
                let metadata_stream: Arc<str> = format!("{METADATA_STREAM_PREFIX}{stream}").into();
                let metadata_head = staged.head(&metadata_stream)?;
                if last.is_none() && metadata_head.is_none() {
                    return Ok(Changed::WrongExpectedRevision { current: None });
                }
                // The metadata, into which a deletion is written, has ended for ever.
                if metadata_head.is_some_and(|head| head.last == TOMBSTONE) {
                    return Ok(Changed::StreamDeleted);
                }
                staged.write(&metadata_stream, metadata_head, &[event])?
            }
        }
    };
    Ok(Changed::Durable {
        revision: written.map(|place| place.revision).or(last),
        position: written.map(|place| place.position),
    })
}

/// Writes events, and undoes a deletion that is written over: of the stream itself, or of the stream that this one is the
/// metadata of. Whatever has to be read is read before anything is written.
fn append(
    stream: &Arc<str>,
    head: Option<Head>,
    events: &[ProposedEvent],
    staged: &mut Staged<'_>,
) -> Result<Option<Place>, ReadError> {
    let mut revived = None;
    if staged.is_deleted(stream, head)? {
        let metadata_stream: Arc<str> = format!("{METADATA_STREAM_PREFIX}{stream}").into();
        let (metadata_head, metadata) = (staged.head(&metadata_stream)?, staged.metadata(stream)?);
        let first = head.map_or(0, |head| head.last + 1);
        revived = metadata.map(|metadata| (metadata_stream, metadata_head, first, metadata));
    } else if let (Some(of), Some(metadata)) = (stream.strip_prefix(METADATA_STREAM_PREFIX), events.last()) {
        let original = staged.head(of)?;
        if staged.is_deleted(of, original)? {
            let first = original.map_or(0, |head| head.last + 1);
            revived = Some((stream.clone(), head, first, metadata.data.to_vec()));
        }
    }
    let written = staged.write(stream, head, events)?;
    if let Some((metadata_stream, before, first, metadata)) = revived
        && let Some(data) = StreamMetadata::revived(&metadata, first)
    {
        // It is another one than before where the events went to this very stream.
        let head = staged.known(&metadata_stream).or(before);
        staged.write(&metadata_stream, head, &[system_event(METADATA_EVENT_TYPE, data.into())])?;
    }
    Ok(written)
}

/// An event that the store writes of its own accord.
fn system_event(event_type: &str, data: Bytes) -> ProposedEvent {
    #[expect(clippy::disallowed_methods, reason = "nobody sends this event again, so nobody needs its id")]
    let id = Uuid::new_v4();
    let is_json = event_type == METADATA_EVENT_TYPE;
    ProposedEvent { id, event_type: event_type.to_owned(), is_json, data, metadata: Bytes::new() }
}

#[cfg(test)]
impl Change {
    /// Appends events of these ids, which say nothing else, whatever the stream holds.
    pub(super) fn append(stream: &str, ids: impl IntoIterator<Item = u128>) -> Self {
        let events = ids.into_iter().map(|id| ProposedEvent {
            id: Uuid::from_u128(id),
            event_type: "Happened".to_owned(),
            is_json: false,
            data: Bytes::new(),
            metadata: Bytes::new(),
        });
        let what = What::Append(events.collect());
        Self { stream: stream.into(), expected: ExpectedRevision::Any, what, held: None }
    }

    /// Appends one event of a type, that says `data`.
    pub(super) fn append_typed(stream: &str, event_type: &str, data: &'static str) -> Self {
        let event = system_event(event_type, Bytes::from_static(data.as_bytes()));
        let what = What::Append(vec![event]);
        Self { stream: stream.into(), expected: ExpectedRevision::Any, what, held: None }
    }
}

/// Writes changes to the log at `path`, each at its time in ticks: as nobody does any more whose clock is set back.
#[cfg(test)]
pub(super) fn placed_at(path: &std::path::Path, changes: impl IntoIterator<Item = (i64, Change)>) {
    use super::staged::Memory;
    use super::two_generations::TwoGenerations;
    let conn = super::schema::open_writer(path, None).unwrap();
    let mut memory =
        Memory { heads: TwoGenerations::new(1 << 10, |_| 1), recent: TwoGenerations::new(1 << 10, |_| 1) };
    let mut last = 0;
    for (created, change) in changes {
        let mut staged = Staged::new(&conn, &mut memory, last, created);
        place(&change, &mut staged).unwrap();
        last = staged.last_position();
        staged.keep();
    }
}
