//! Why a stream cannot be read back.

use event_store::ReadError;

/// Why a stream did not become a state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The store did not answer.
    #[error("{0}")]
    Unavailable(String),
    /// The store will not tell us.
    #[error("{0}")]
    Refused(String),
    /// The stream is deleted for ever.
    #[error("the stream is deleted for ever")]
    Deleted,
    /// The store answered with something that no rule can be applied to.
    #[error("the stream cannot be read at revision {revision:?}: {reason}")]
    Unreadable {
        /// The event's revision, if it came as far as an event.
        revision: Option<u64>,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<ReadError> for HistoryError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(reason) => Self::Unavailable(reason),
            ReadError::Refused(_) => Self::Refused(error.to_string()),
            ReadError::Lost(reason) => Self::Unreadable { revision: None, reason },
            ReadError::Deleted => Self::Deleted,
        }
    }
}
