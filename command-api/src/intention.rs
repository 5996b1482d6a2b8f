//! What comes with a command and is not the command: who means it, once, and under which condition.

use crate::identity::Key;

/// The circumstances of one command.
#[derive(Clone, Debug)]
pub(crate) struct Intention {
    /// The key that makes its repeats recognisable.
    pub(crate) key: Key,
    /// What must hold of the stream, if the client made a condition.
    pub(crate) precondition: Option<Precondition>,
    /// The request that brought it; what follows from it is correlated by this.
    pub(crate) request_id: String,
    /// The W3C trace context that it came in.
    pub(crate) traceparent: Option<String>,
}

/// A condition on the stream that a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// It has events.
    Exists,
    /// Its last event has this revision.
    Revision(u64),
}

impl Precondition {
    /// Whether it holds of a stream whose last event has revision `current`.
    pub(crate) fn holds(self, current: Option<u64>) -> bool {
        match self {
            Self::Exists => current.is_some(),
            Self::Revision(revision) => current == Some(revision),
        }
    }
}
