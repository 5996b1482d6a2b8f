//! What a command leads to.

use crate::history::HistoryError;
use crate::intention::Precondition;
use event_store::Appended;

/// The answer to a command.
pub(crate) type Answer<A, Refusal> = Result<Outcome<A>, Failure<Refusal>>;

/// What a command led to.
#[derive(Clone, Debug)]
pub(crate) struct Outcome<A> {
    /// The state after the command's last event.
    pub(crate) state: A,
    /// Where that event is; none if the command found everything as it should be on a stream without events. Commands
    /// that were booked together share the position of the last event of all, since the store tells no other.
    pub(crate) last: Option<Appended>,
    /// Whether the command had been booked before, under the same key, and this is the first answer again.
    pub(crate) repeated: bool,
}

/// Why a command led to nothing, or to nobody knows what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure<Refusal> {
    /// The rule says no.
    Refused(Refusal),
    /// This condition of the client's does not hold of a stream at this revision.
    PreconditionFailed(Precondition, Option<u64>),
    /// Another command was booked under the same key.
    KeyReused,
    /// The stream is deleted for ever. What was booked before that, nobody can learn.
    Deleted,
    /// The stream holds something that cannot be read.
    Unreadable(String),
    /// The store cannot be used. This try booked nothing.
    Unavailable(String),
    /// The store will not take or tell this, and says so. This try booked nothing.
    StoreRefused(String),
    /// Others kept changing the stream. This try booked nothing.
    Contended,
    /// The events were sent, now or by an earlier try, and what became of them could not be learnt. Repeating the
    /// command is safe.
    OutcomeUnknown(String),
}

impl Failure<()> {
    /// The same, with the refusal that the command itself has kept.
    pub(super) fn with_refusal<Refusal>(self, refusal: Option<Refusal>) -> Failure<Refusal> {
        match (self, refusal) {
            (Self::Refused(()), Some(refusal)) => Failure::Refused(refusal),
            (Self::Refused(()), None) => Failure::Unavailable("the reason was lost".to_owned()),
            (Self::PreconditionFailed(condition, current), _) => {
                Failure::PreconditionFailed(condition, current)
            }
            (Self::KeyReused, _) => Failure::KeyReused,
            (Self::Deleted, _) => Failure::Deleted,
            (Self::Unreadable(reason), _) => Failure::Unreadable(reason),
            (Self::Unavailable(reason), _) => Failure::Unavailable(reason),
            (Self::StoreRefused(reason), _) => Failure::StoreRefused(reason),
            (Self::Contended, _) => Failure::Contended,
            (Self::OutcomeUnknown(reason), _) => Failure::OutcomeUnknown(reason),
        }
    }
}

impl<Refusal> From<&HistoryError> for Failure<Refusal> {
    fn from(error: &HistoryError) -> Self {
        match error {
            HistoryError::Unavailable(reason) => Self::Unavailable(reason.clone()),
            HistoryError::Refused(reason) => Self::StoreRefused(reason.clone()),
            HistoryError::Deleted => Self::Deleted,
            HistoryError::Unreadable { .. } => Self::Unreadable(error.to_string()),
        }
    }
}
