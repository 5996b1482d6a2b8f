//! The port: what an event store must do for us, in its own words.

use bytes::Bytes;
use futures_util::Stream;
use std::fmt;
use std::future::Future;
use std::num::ParseIntError;
use std::str::FromStr;
use uuid::Uuid;

/// The type and the revision of the event that ends a stream for ever.
const TOMBSTONE: (&str, u64) = ("$streamDeleted", i64::MAX.cast_unsigned());

/// An append-only store of streams of events, ordered within a stream by revision (dense, from 0) and over all
/// streams by position.
pub trait EventStore: Clone + Send + Sync + 'static {
    /// Appends `events` to `stream` as one unit, if the stream is where `expected` says.
    ///
    /// The same events (by id) with the same exact expectation may be sent again: the store answers as the first
    /// time. The adapter itself does so after a failure that leaves the outcome open, while there is time.
    ///
    /// # Errors
    /// [`AppendError`]; only [`AppendError::OutcomeUnknown`] leaves open whether the events are stored, and
    /// [`AppendError::Deleted`] whether they were, before the stream was deleted.
    fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> impl Future<Output = Result<Appended, AppendError>> + Send;

    /// Reads up to `limit` events of `stream` from revision `from` on (inclusive, either way). A stream that does not
    /// exist is empty.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read_stream(
        &self,
        stream: &str,
        from: Start<u64>,
        direction: Direction,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, ReadError>> + Send;

    /// Reads up to `limit` events of all streams, the store's own system events left out, beginning *after* `from`
    /// (forwards: later positions, backwards: earlier ones).
    ///
    /// # Errors
    /// [`ReadError`].
    fn read_all(
        &self,
        from: Start<Position>,
        direction: Direction,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, ReadError>> + Send;

    /// Reads the one event at exactly `position`, if there is one.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read_at(
        &self,
        position: Position,
    ) -> impl Future<Output = Result<Option<StoredEvent>, ReadError>> + Send;

    /// Follows all streams that `filter` lets through, after `from` and on for ever: history first, then live. It
    /// survives outages of the store by itself and never skips or repeats an event; dropping it ends it.
    fn follow(&self, from: Follow, filter: Filter) -> impl Stream<Item = Heard> + Send + Unpin + 'static;

    /// Answers when the store does.
    ///
    /// # Errors
    /// [`ReadError`] when it does not in time.
    fn ping(&self) -> impl Future<Output = Result<(), ReadError>> + Send;
}

/// A place in the order over all streams of one store. Opaque: only comparisons mean anything, and only within the
/// same store. Never above 2^63 - 1. On the wire a decimal string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl FromStr for Position {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

/// Where an appender believes the stream to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It does not exist yet.
    NoStream,
    /// Its last event has this revision.
    Revision(u64),
}

/// What the data of an event are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentType {
    /// JSON.
    #[default]
    Json,
    /// Bytes that the store does not look into.
    Binary,
}

/// An event to be stored. Its metadata are JSON, if there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Chosen by the appender, the same on every retry.
    pub id: Uuid,
    /// The name of its type.
    pub event_type: String,
    /// What its data are.
    pub content_type: ContentType,
    /// What happened.
    pub data: Bytes,
    /// What is known around it.
    pub metadata: Bytes,
}

/// An event as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The stream it belongs to.
    pub stream: String,
    /// Its place in the stream, from 0.
    pub revision: u64,
    /// Its place in the whole store.
    pub position: Position,
    /// The appender's id.
    pub id: Uuid,
    /// The name of its type.
    pub event_type: String,
    /// What its data are.
    pub content_type: ContentType,
    /// What happened.
    pub data: Bytes,
    /// What is known around it.
    pub metadata: Bytes,
    /// When the store took it, by the store's clock, in microseconds since 1970. It changes when a store is copied.
    pub created_micros: i64,
}

impl StoredEvent {
    /// Whether it is the mark by which the store itself ends a stream for ever. It stands in the stream that it ends, and
    /// nobody appended it: an event that only has its type is like any other.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        (self.event_type.as_str(), self.revision) == TOMBSTONE
    }
}

/// What a successful append answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The revision of its last event.
    pub revision: u64,
    /// The position of its last event.
    pub position: Position,
}

/// Where a read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<T> {
    /// At the first event.
    Beginning,
    /// At the last event.
    End,
    /// At a place.
    At(T),
}

/// Which way a read goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Old to new.
    Forwards,
    /// New to old.
    Backwards,
}

/// Where following begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// With the first event there is.
    FromBeginning,
    /// After this position.
    After(Position),
}

/// Which streams are followed: those whose name begins with one of these prefixes. Empty: all but system streams.
/// There is no filter by event type, because it would make revisions sparse and a skipped event undetectable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Prefixes of stream names.
    pub stream_prefixes: Vec<String>,
}

/// What a follower hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The next event.
    Event(StoredEvent),
    /// All that there was has been heard; what comes now is new.
    CaughtUp,
    /// The connection was lost, for this reason; following goes on by itself from the last event heard.
    Interrupted(String),
}

/// Why an append failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream is elsewhere; nothing was stored.
    #[error("the stream is at {}, not at {expected:?}", current.map_or("no revision".to_owned(), |r| format!("revision {r}")))]
    Conflict {
        /// What the appender believed.
        expected: Expected,
        /// The revision of the stream's last event, if it has one.
        current: Option<u64>,
    },
    /// The store will never take it (too large, access denied); nothing was stored.
    #[error("the event store refused the append: {0}")]
    Refused(String),
    /// The stream is deleted for ever: neither read nor written any more. If the events were stored before that, nobody can
    /// learn it.
    #[error("the event store refused the append: the stream is deleted")]
    Deleted,
    /// The store was not reached; nothing was stored.
    #[error("the event store is not available: {0}")]
    Unavailable(String),
    /// The append was sent and no answer came in time: it may or may not be stored. Sending the same again is safe.
    #[error("the event store did not answer, so the outcome is unknown: {0}")]
    OutcomeUnknown(String),
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store was not reached, or did not answer in time.
    #[error("the event store is not available: {0}")]
    Unavailable(String),
    /// The store will not answer us (access denied, a read that it does not know): its operator or ours has to help.
    #[error("the event store refused the read: {0}")]
    Refused(String),
    /// What was asked for is damaged.
    #[error("what is stored cannot be read: {0}")]
    Lost(String),
    /// The stream is deleted for ever: neither read nor written any more.
    #[error("what is stored cannot be read: the stream is deleted")]
    Deleted,
}
