//! Events between the port's words and the client's.

use super::failure::Failure;
use crate::{ContentType, Expected, NewEvent, Position, StoredEvent};
use bytes::Bytes;
use eventstore::{EventData, ExpectedRevision, ResolvedEvent};
use serde_json::value::RawValue;

/// The event as the client sends it.
pub(super) fn proposed(event: &NewEvent) -> Result<EventData, Failure> {
    let NewEvent { id, event_type, content_type, data, metadata } = event;
    if event_type.is_empty() || id.is_nil() {
        return Err(Failure::Refused("an event needs a type, and an id other than zero".to_owned()));
    }
    let proposed = match content_type {
        ContentType::Binary => EventData::binary(event_type, Bytes::clone(data)),
        // The client marks as JSON only what it serializes itself; raw values pass through that as they are.
        ContentType::Json => {
            let not_json = |error| Failure::Refused(format!("the data of event {id} are not JSON: {error}"));
            let raw: &RawValue = serde_json::from_slice(data).map_err(not_json)?;
            if raw.get().len() < data.len() {
                let reason = "have white space around their JSON, which would be lost";
                return Err(Failure::Refused(format!("the data of event {id} {reason}")));
            }
            EventData::json(event_type, &raw).map_err(not_json)?
        }
    };
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
        content_type: if event.is_json { ContentType::Json } else { ContentType::Binary },
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
            content_type: ContentType::Json,
            data: Bytes::from_static(data),
            metadata: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn nothing_is_sent_other_than_it_was_given() {
        let padded = event(1, "Warehoused", b"{}\n");
        assert!(matches!(proposed(&padded), Err(Failure::Refused(_))));
        assert!(proposed(&NewEvent { content_type: ContentType::Binary, ..padded }).is_ok());
    }

    #[test]
    fn an_event_that_no_store_takes_is_refused_before_it_is_sent() {
        assert!(proposed(&event(1, "Warehoused", br#"{"qty":1.50}"#)).is_ok());
        for bad in [event(1, "Warehoused", b"{qty"), event(1, "", b"{}"), event(0, "Warehoused", b"{}")] {
            assert!(matches!(proposed(&bad), Err(Failure::Refused(_))));
        }
    }
}
