//! What the projector does not get past by itself.

use domain::decider::DecodeError;
use event_store::StoredEvent;
use read_model::batch::Gap;

/// Going on would make the read models wrong, so the projector stops here until an operator has helped. It looks
/// again now and then, so that nothing needs to be restarted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Halt {
    /// An event that this program does not understand.
    #[error(
        "event {revision} of {stream} at position {position} cannot be read: {reason}; if a newer version of bookstock wrote it, update the projector"
    )]
    Undecodable {
        /// Its stream.
        stream: String,
        /// Its place there.
        revision: u64,
        /// Its place in the store.
        position: u64,
        /// What is wrong.
        reason: Unread,
    },
    /// The store does not tell a stream's whole history.
    #[error(
        "{0}; the event store lost an event or tells it twice: check the store, then run `replay rebuild`"
    )]
    Gap(#[from] Gap),
    /// The checkpoint is of an event that this store does not have.
    #[error(
        "the read models were made from another event store: at position {position} they have event {expected}, and this store has {}; connect the store they were made from, or make them anew with `replay rebuild`",
        found.as_deref().unwrap_or("none")
    )]
    OtherStore {
        /// The checkpoint's position.
        position: u64,
        /// The event id of the checkpoint.
        expected: String,
        /// The event id that the store has there.
        found: Option<String>,
    },
    /// The tables are of another version of this program.
    #[error(
        "the read models that serve were folded by version {theirs} of the views, and this program has version {ours}; run `replay rebuild`, or the program that made them"
    )]
    OtherFold {
        /// The tables' version.
        theirs: i32,
        /// This program's.
        ours: i32,
    },
}

/// Why an event is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// Its shape.
    #[error(transparent)]
    Shape(#[from] DecodeError),
    /// It names another book than its stream.
    #[error("it is about book {0}")]
    OtherBook(u64),
}

impl Halt {
    /// Whether it can be told only by the next event that everything is well again.
    pub(crate) fn is_about_an_event(&self) -> bool {
        match self {
            Self::Undecodable { .. } | Self::Gap(_) => true,
            Self::OtherStore { .. } | Self::OtherFold { .. } => false,
        }
    }

    pub(crate) fn undecodable(event: &StoredEvent, reason: impl Into<Unread>) -> Self {
        Self::Undecodable {
            stream: event.stream.clone(),
            revision: event.revision,
            position: event.position.0,
            reason: reason.into(),
        }
    }
}
