//! An append in the making: what every proposed event must fulfil, whichever call brings it.

use super::Streams;
use super::{identifiers, status};
use crate::config::Limits;
use crate::log::{Change, ChangeError, Changed, ExpectedRevision, ProposedEvent, Revision, What};
use crate::protocol::shared::Uuid as WireUuid;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use uuid::Uuid;

/// What an event takes while it is pending beside its data, metadata and type, in bytes: the smallest one fills so much.
/// An append of a batch takes it, too, beside its events.
pub(super) const BESIDE: usize = 256;

/// An append whose events are still coming in.
#[derive(Debug)]
pub(super) struct Proposal {
    stream: Arc<str>,
    expected: ExpectedRevision,
    events: Vec<ProposedEvent>,
    bytes: usize,
    /// This append's part of what all appends under way may hold.
    held: Option<OwnedSemaphorePermit>,
}

/// An event as both calls carry it.
pub(super) struct Message {
    pub(super) id: Option<WireUuid>,
    pub(super) metadata: HashMap<String, String>,
    pub(super) custom_metadata: Bytes,
    pub(super) data: Bytes,
}

impl Proposal {
    pub(super) fn new(stream: Arc<str>, expected: ExpectedRevision) -> Self {
        Self { stream, expected, events: Vec::new(), bytes: 0, held: None }
    }

    /// Takes one more event, or refuses the whole append.
    pub(super) fn add(&mut self, message: Message, streams: &Streams) -> Result<(), Refusal> {
        let limits = &streams.limits;
        let event = proposed(message, limits)?;
        self.bytes += event.size();
        if self.bytes > limits.max_append_bytes {
            return Err(Refusal::AppendTooLarge { limit: limits.max_append_bytes });
        }
        let more = hold(event.size() + BESIDE, &streams.pending)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        self.events.push(event);
        Ok(())
    }

    /// Appends all of it; the answer comes after the commit, which is waited for so long at most.
    pub(super) async fn commit(self, streams: &Streams, timeout: Duration) -> Result<Changed, CommitError> {
        let Self { stream, expected, events, bytes: _, held } = self;
        commit(Change { stream, expected, what: What::Append(events), held }, streams, timeout).await
    }
}

/// Takes so many bytes of what all appends under way may hold.
pub(super) fn hold(bytes: usize, pending: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Status> {
    let permits = u32::try_from(bytes).map_err(|_| status::too_busy())?;
    // Waiting here could wait for ever: other unfinished appends may hold the rest and wait as well.
    pending.clone().try_acquire_many_owned(permits).map_err(|_| status::too_busy())
}

/// Has a change made; the answer comes after the commit, which is waited for so long at most.
pub(super) async fn commit(
    change: Change,
    streams: &Streams,
    timeout: Duration,
) -> Result<Changed, CommitError> {
    let changed = tokio::time::timeout(timeout, streams.log.change(change)).await;
    Ok(changed.map_err(|_| CommitError::Timeout)??)
}

/// Why an append was refused before it was tried. The sizes stand apart because each call has its own words for them.
#[derive(Debug)]
pub(super) enum Refusal {
    EventTooLarge { id: Uuid, size: usize, limit: usize },
    AppendTooLarge { limit: usize },
    Status(Status),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::EventTooLarge { id, size, limit } => status::event_too_large(id, size, limit),
            Refusal::AppendTooLarge { limit } => status::append_too_large(limit),
            Refusal::Status(status) => status,
        }
    }
}

/// Why an append got no answer of its own.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    /// It took too long; it may still be committed.
    #[error("the append was not committed in time")]
    Timeout,
    #[error(transparent)]
    Log(#[from] ChangeError),
}

impl From<CommitError> for Status {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Timeout => status::write_timeout(),
            CommitError::Log(error) => error.into(),
        }
    }
}

/// A revision or position as the wire has it.
pub(super) fn unsigned(number: Revision) -> u64 {
    number.cast_unsigned()
}

fn proposed(message: Message, limits: &Limits) -> Result<ProposedEvent, Refusal> {
    let Message { id, mut metadata, custom_metadata, data } = message;
    let event_type = metadata.remove("type").ok_or_else(|| status::missing_metadata_property("type"))?;
    let content_type =
        metadata.remove("content-type").ok_or_else(|| status::missing_metadata_property("content-type"))?;
    if event_type.is_empty() {
        return Err(Status::invalid_argument("The event type is empty.").into());
    }
    if event_type.len() > limits.max_name_bytes {
        return Err(Status::invalid_argument(format!(
            "The event type has {} bytes; at most {} are allowed.",
            event_type.len(),
            limits.max_name_bytes
        ))
        .into());
    }
    let id = identifiers::parse_uuid(id.as_ref())?;
    if id.is_nil() {
        return Err(Status::invalid_argument("The event id is empty.").into());
    }
    let is_json = content_type == "application/json";
    let event = ProposedEvent { id, event_type, is_json, data, metadata: custom_metadata };
    if event.size() > limits.max_event_bytes {
        return Err(Refusal::EventTooLarge { id, size: event.size(), limit: limits.max_event_bytes });
    }
    Ok(event)
}
