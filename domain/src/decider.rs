//! The shape of every rule: the Decider pattern (Jérémie Chassaing, "Functional Event Sourcing Decider", 2021).

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A state made of events.
///
/// Evolving never fails and never loses an event: what happened has happened, in whatever order it is met.
pub trait Evolve: Clone + Default + Send + Sync + 'static {
    /// What happens to it.
    type Event: Send + Sync;

    /// The state after `event`.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;
}

/// The rule of one command.
pub trait Decide {
    /// What the decision is made on.
    type State: Evolve;
    /// Why it can be refused.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// What happens because of this command: events, or a refusal. No event at all means that it is so already.
    ///
    /// # Errors
    /// The refusal; a refused command leaves no trace.
    fn decide(&self, state: &Self::State) -> Result<Vec<Event<Self>>, Self::Refusal>;
}

/// The event type of the state that a command decides on.
pub type Event<C> = <<C as Decide>::State as Evolve>::Event;

/// A command with an identity: serialized, it is the canonical form that tells a repeat from another command under
/// the same idempotency key. What a repeat may carry anew, such as its time, is skipped there.
pub trait Command: Decide<State: Persist> + Serialize + Send + Sync {
    /// Its name in the ubiquitous language.
    const NAME: &'static str;

    /// The stream whose state it decides on.
    fn stream(&self) -> String;
}

/// How a state and its events are kept in a store of bytes.
pub trait Persist: Evolve {
    /// What each event's metadata says of the state after it, so that one event is enough to load it.
    type After: Serialize + DeserializeOwned + Send;

    /// The pinned type name and the JSON of `event`.
    fn encode(event: &Self::Event) -> (&'static str, Vec<u8>);

    /// Reads an event of any shape that was ever written.
    ///
    /// # Errors
    /// When the type or its version is unknown, or the data does not fit: never a guess.
    fn decode(event_type: &str, data: &[u8], metadata: &[u8]) -> Result<Self::Event, DecodeError>;

    /// The revision that `event`, at revision `own`, takes out of its stream: a fold goes on as if nothing had happened
    /// there, be it readable or not.
    fn skips(event: &Self::Event, own: u64) -> Option<u64>;

    /// What is to be said of this state in the metadata of the event that led to it.
    fn after(&self) -> Option<Self::After>;

    /// The state after `event`, by what its metadata said.
    fn resume(after: Self::After, event: &Self::Event) -> Self;
}

/// Why a stored event cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No event of that name is known.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// The type is known, this version of its shape is not.
    #[error("event type {event_type} has no schema version {version}")]
    UnknownVersion {
        /// The type's name.
        event_type: String,
        /// The version that the metadata names.
        version: u32,
    },
    /// The JSON does not have the shape.
    #[error("{event_type} does not have its shape: {reason}")]
    Malformed {
        /// The type's name.
        event_type: String,
        /// What does not fit.
        reason: String,
    },
}

/// The state after `events`, from nothing.
pub fn fold<'a, S: Evolve>(events: impl IntoIterator<Item = &'a S::Event>) -> S
where
    S::Event: 'a,
{
    events.into_iter().fold(S::default(), S::evolve)
}
