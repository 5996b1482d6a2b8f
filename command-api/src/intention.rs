//! What comes with a command and is not the command: who means it, once, and under which condition.

use crate::identity::Key;
use std::sync::Arc;

/// The circumstances of one command.
#[derive(Clone, Debug)]
pub(crate) struct Intention {
    /// The key that makes its repeats recognisable.
    pub(crate) key: Key,
    /// How many of the stream's last events a repeat is looked for in; see [`crate::recent::WINDOW`].
    pub(crate) reach: u64,
    /// What must hold of the stream, as far as the client made conditions.
    pub(crate) preconditions: Vec<Precondition>,
    /// Where it comes from.
    pub(crate) provenance: Arc<Provenance>,
}

/// Where commands come from; all commands of one request share it.
#[derive(Clone, Debug)]
pub(crate) struct Provenance {
    /// Who sent them: a token's pseudonymous subject, if there was a token.
    pub(crate) actor: Option<String>,
    /// The request that brought them; what follows from it is correlated by this.
    pub(crate) request_id: String,
    /// The W3C trace context that they came in.
    pub(crate) traceparent: Option<String>,
}

/// A condition on the stream that a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// It has events.
    Exists,
    /// It has none.
    Absent,
    /// Its last event has this revision.
    At(u64),
    /// Its last event has another revision, or there is none.
    NotAt(u64),
}

impl Precondition {
    /// Whether it holds of a stream whose last event has revision `current`.
    pub(crate) fn holds(self, current: Option<u64>) -> bool {
        match self {
            Self::Exists => current.is_some(),
            Self::Absent => current.is_none(),
            Self::At(revision) => current == Some(revision),
            Self::NotAt(revision) => current != Some(revision),
        }
    }
}
