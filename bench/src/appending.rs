//! Callers that append, each to streams of its own, so that every expectation is exact and right.

use crate::load::Call;
use crate::random::Random;
use bytes::Bytes;
use event_store::{ContentType, EventStore as _, Expected, Kurrent, NewEvent};
use eventstore::{AppendToStreamOptions, BatchAppendClient, Client, EventData, ExpectedRevision};
use std::sync::Arc;
use uuid::Uuid;

/// The data of one event, in bytes; its metadata is empty.
pub(crate) const EVENT_BYTES: usize = 200;

/// A caller with streams of its own, who knows how many events each has.
pub(crate) struct Appending<S> {
    store: S,
    streams: Vec<(String, u64)>,
    random: Random,
}

impl<S> Appending<S> {
    /// `streams` are names and how many events each has.
    pub(crate) fn new(store: S, streams: Vec<(String, u64)>, caller: usize) -> Self {
        Self { store, streams, random: Random::seeded(caller) }
    }

    fn any(&mut self) -> (&S, &mut (String, u64)) {
        let any = self.random.below(self.streams.len());
        (&self.store, &mut self.streams[any])
    }
}

/// One append by the adapter that the services use, which sends what is appended at the same time in a session of its own.
impl Call for Appending<Kurrent> {
    async fn call(&mut self) -> anyhow::Result<()> {
        let (store, (stream, length)) = self.any();
        let expected = length.checked_sub(1).map_or(Expected::NoStream, Expected::Revision);
        store.append(stream, expected, vec![event(stream, *length)]).await?;
        *length += 1;
        Ok(())
    }
}

/// One append in a call of its own, `Append`.
impl Call for Appending<Client> {
    async fn call(&mut self) -> anyhow::Result<()> {
        let (client, (stream, length)) = self.any();
        let (expected, event) = as_the_client_says(stream, *length);
        let options = AppendToStreamOptions::default().expected_revision(expected);
        client.append_to_stream(stream.as_str(), &options, event).await?;
        *length += 1;
        Ok(())
    }
}

/// One append of the many in a session that all callers share.
impl Call for Appending<Arc<BatchAppendClient>> {
    async fn call(&mut self) -> anyhow::Result<()> {
        let (session, (stream, length)) = self.any();
        let (expected, event) = as_the_client_says(stream, *length);
        session.append_to_stream(&*stream, expected, vec![event]).await?;
        *length += 1;
        Ok(())
    }
}

/// The next event of a stream that has so many.
fn as_the_client_says(stream: &str, length: u64) -> (ExpectedRevision, EventData) {
    let expected = length.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
    let NewEvent { id, event_type, data, .. } = event(stream, length);
    (expected, EventData::binary(event_type, data).id(id))
}

/// The event of [`EVENT_BYTES`] bytes that has this place in this stream.
pub(crate) fn event(stream: &str, revision: u64) -> NewEvent {
    NewEvent {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{stream}/{revision}").as_bytes()),
        event_type: "Appended".to_owned(),
        content_type: ContentType::Json,
        data: format!("{{\"n\":\"{}\"}}", ".".repeat(EVENT_BYTES - 8)).into(),
        metadata: Bytes::new(),
    }
}
