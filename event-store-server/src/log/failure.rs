//! What a failed write means.

use rusqlite::ErrorCode;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::watch;

/// Why a change was not decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("The disk is full, or the store has reached its size limit: nothing was appended.")]
    Full,
    #[error("The database is locked by another program: nothing was appended.")]
    Busy,
    #[error(
        "The event store stopped accepting events after a failed write and stays stopped until it is restarted: {0}"
    )]
    Stopped(Arc<str>),
    #[error("The event store is shutting down: nothing was appended.")]
    Closed,
    #[error("The event store ended while it was appending: the outcome is not known.")]
    Unknown,
    #[error("Nothing was appended, because what the stream holds cannot be read: {0}")]
    Damaged(Arc<str>),
}

/// Stops the log for good. Clones stop the same one.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Sender<Option<Arc<str>>>);

impl Stop {
    /// A log that is not stopped, and who hears when it is, and why.
    pub(super) fn new() -> (Self, watch::Receiver<Option<Arc<str>>>) {
        let (stop, stopped) = watch::channel(None);
        (Self(stop), stopped)
    }

    /// Why nothing is accepted any more, if that is so.
    pub(super) fn reason(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }

    /// Does what writes. A panic of it stops the log, so that it is seen as what it is, and the directory stays locked.
    pub(super) fn watch<T>(&self, write: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, ChangeError> {
        // Whatever state it left is looked at no more.
        match catch_unwind(AssertUnwindSafe(write)) {
            Ok(written) => written.map_err(|error| self.judge(&error)),
            Err(_) => Err(self.because_of(&"the writer panicked; its log says where")),
        }
    }

    /// A full disk or a lock pass, anything else stops the log: after a failed fsync nobody knows what is on the disk,
    /// and a second fsync would not tell.
    pub(super) fn judge(&self, error: &rusqlite::Error) -> ChangeError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                tracing::error!(%error, "the disk is full: appends are refused until there is room");
                ChangeError::Full
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                tracing::warn!(%error, "another program holds the database locked");
                ChangeError::Busy
            }
            _ => self.because_of(error),
        }
    }

    /// Stops the log.
    pub(super) fn because_of(&self, error: &impl Display) -> ChangeError {
        tracing::error!(%error, "a write failed: no event is accepted until the server is restarted");
        let reason: Arc<str> = error.to_string().into();
        self.0.send_replace(Some(reason.clone()));
        ChangeError::Stopped(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_the_log_and_what_passes_does_not() {
        let (stop, stopped) = Stop::new();
        assert_eq!(stop.watch(|| Ok(7)), Ok(7));
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        let refused = stop.watch::<()>(|| Err(rusqlite::Error::SqliteFailure(full, None)));
        assert_eq!((refused, stop.reason()), (Err(ChangeError::Full), None));

        let refused = stop.watch::<()>(|| panic!("made to fail"));
        assert!(matches!(refused, Err(ChangeError::Stopped(_))), "{refused:?}");
        assert!(stopped.borrow().is_some());
    }
}
