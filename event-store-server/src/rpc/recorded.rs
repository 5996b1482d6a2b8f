//! Events of the log as the wire carries them.

use super::identifiers;
use super::proposal::unsigned;
use super::read_options::Form;
use crate::log::{RecordedEvent, Resolved};
use crate::protocol::shared::StreamIdentifier;
use crate::protocol::streams::ReadResp;
use crate::protocol::streams::read_resp::read_event::{Position, RecordedEvent as WireEvent};
use crate::protocol::streams::read_resp::{Content, ReadEvent};
use prost_types::Timestamp;
use std::collections::HashMap;

/// An answer that carries `event`.
pub(super) fn event(event: Resolved, form: Form) -> ReadResp {
    let position = Some(Position::CommitPosition(unsigned(event.original().position)));
    let (event, link) = match event {
        Resolved::Event(event) => (Some(event), None),
        Resolved::Link { link, target } => (target, Some(link)),
    };
    let (event, link) = (event.map(|event| wire(event, form)), link.map(|link| wire(link, form)));
    response(Content::Event(ReadEvent { event, link, position }))
}

fn wire(event: RecordedEvent, form: Form) -> WireEvent {
    let position = unsigned(event.position);
    let content_type = if event.is_json { "application/json" } else { "application/octet-stream" };
    let metadata = HashMap::from([
        ("type".to_owned(), event.event_type),
        ("created".to_owned(), event.created.to_string()),
        ("content-type".to_owned(), content_type.to_owned()),
    ]);
    let id = match form.structured_ids {
        true => identifiers::structured(event.id),
        false => identifiers::textual(event.id),
    };
    WireEvent {
        id: Some(id),
        stream_identifier: Some(StreamIdentifier { stream_name: event.stream }),
        stream_revision: unsigned(event.revision),
        prepare_position: position,
        commit_position: position,
        metadata,
        custom_metadata: event.metadata,
        data: event.data,
    }
}

/// An answer with this content.
pub(super) fn response(content: Content) -> ReadResp {
    ReadResp { content: Some(content) }
}

/// The time of an answer.
pub(super) fn now() -> Timestamp {
    let micros = service_kit::clock::unix_micros();
    let nanos = micros.rem_euclid(1_000_000) * 1_000;
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos: i32::try_from(nanos).unwrap_or(0) }
}
