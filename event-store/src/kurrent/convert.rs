//! Events between the port's words and the client's.

use super::failure::Failure;
use crate::{Expected, NewEvent, Position, StoredEvent};
use bytes::Bytes;
use eventstore::{EventData, ExpectedRevision, ResolvedEvent};
use serde_json::value::RawValue;

/// The event as the client sends it.
pub(super) fn proposed(event: &NewEvent) -> Result<EventData, Failure> {
    let NewEvent { id, event_type, data, metadata } = event;
    if event_type.is_empty() || id.is_nil() {
        return Err(Failure::Refused("an event needs a type, and an id other than zero".to_owned()));
    }
    // The client marks as JSON only what it serializes itself; raw values pass through that as they are.
    let json = |bytes| serde_json::from_slice::<&RawValue>(bytes);
    let proposed = json(data)
        .and_then(|data| EventData::json(event_type, &data))
        .map_err(|error| Failure::Refused(format!("the data of event {id} is not JSON: {error}")))?;
    Ok(proposed.id(*id).metadata(Bytes::clone(metadata)))
}

/// The event as the port tells it, unless the answer holds none.
pub(super) fn stored(resolved: ResolvedEvent) -> Option<StoredEvent> {
    // Links are not resolved, so a link is an event like any other.
    let event = resolved.event.or(resolved.link)?;
    // The client cuts its own `created` to whole seconds; the store sends ticks of 100 ns.
    let ticks = event.metadata.get("created").and_then(|ticks| ticks.parse::<i64>().ok());
    Some(StoredEvent {
        stream: event.stream_id,
        revision: event.revision,
        position: Position(event.position.commit),
        id: event.id,
        event_type: event.event_type,
        data: event.data,
        metadata: event.custom_metadata,
        created_micros: ticks.map_or_else(|| event.created.timestamp_micros(), |ticks| ticks / 10),
    })
}

/// The store's own events live in streams of their own.
pub(super) fn is_system(event: &StoredEvent) -> bool {
    event.stream.starts_with('$')
}

pub(super) fn expected_revision(expected: Expected) -> ExpectedRevision {
    match expected {
        Expected::NoStream => ExpectedRevision::NoStream,
        Expected::Revision(revision) => ExpectedRevision::Exact(revision),
    }
}

/// The client's positions have two parts, which differ only for transactions of a protocol that is gone.
pub(super) fn position(position: Position) -> eventstore::Position {
    eventstore::Position { commit: position.0, prepare: position.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn event(id: u128, event_type: &str, data: &'static [u8]) -> NewEvent {
        NewEvent {
            id: Uuid::from_u128(id),
            event_type: event_type.to_owned(),
            data: Bytes::from_static(data),
            metadata: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn an_event_that_no_store_takes_is_refused_before_it_is_sent() {
        assert!(proposed(&event(1, "Warehoused", br#"{"qty":1.50}"#)).is_ok());
        for bad in [event(1, "Warehoused", b"{qty"), event(1, "", b"{}"), event(0, "Warehoused", b"{}")] {
            assert!(matches!(proposed(&bad), Err(Failure::Refused(_))));
        }
    }
}
