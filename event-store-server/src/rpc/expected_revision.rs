//! Expected revisions on the wire: each call has its own message for the same four cases.

use crate::log::ExpectedRevision;
use crate::protocol::streams::append_req::options::ExpectedStreamRevision;
use crate::protocol::streams::batch_append_req::options::ExpectedStreamPosition;
use crate::protocol::streams::{delete_req, tombstone_req};
use tonic::Status;

/// Of an append.
pub(super) fn of_append(expected: Option<ExpectedStreamRevision>) -> Result<ExpectedRevision, Status> {
    match expected {
        Some(ExpectedStreamRevision::Any(_)) => Ok(ExpectedRevision::Any),
        Some(ExpectedStreamRevision::StreamExists(_)) => Ok(ExpectedRevision::StreamExists),
        Some(ExpectedStreamRevision::NoStream(_)) => Ok(ExpectedRevision::NoStream),
        Some(ExpectedStreamRevision::Revision(revision)) => exact(revision),
        None => Err(missing()),
    }
}

/// Of a batch append.
pub(super) fn of_batch_append(expected: Option<ExpectedStreamPosition>) -> Result<ExpectedRevision, Status> {
    match expected {
        Some(ExpectedStreamPosition::Any(())) => Ok(ExpectedRevision::Any),
        Some(ExpectedStreamPosition::StreamExists(())) => Ok(ExpectedRevision::StreamExists),
        Some(ExpectedStreamPosition::NoStream(())) => Ok(ExpectedRevision::NoStream),
        Some(ExpectedStreamPosition::StreamPosition(revision)) => exact(revision),
        None => Err(missing()),
    }
}

/// Of a deletion.
pub(super) fn of_delete(
    expected: Option<delete_req::options::ExpectedStreamRevision>,
) -> Result<ExpectedRevision, Status> {
    use delete_req::options::ExpectedStreamRevision::{Any, NoStream, Revision, StreamExists};
    match expected {
        Some(Any(_)) => Ok(ExpectedRevision::Any),
        Some(StreamExists(_)) => Ok(ExpectedRevision::StreamExists),
        Some(NoStream(_)) => Ok(ExpectedRevision::NoStream),
        Some(Revision(revision)) => exact(revision),
        None => Err(missing()),
    }
}

/// Of a tombstone.
pub(super) fn of_tombstone(
    expected: Option<tombstone_req::options::ExpectedStreamRevision>,
) -> Result<ExpectedRevision, Status> {
    use tombstone_req::options::ExpectedStreamRevision::{Any, NoStream, Revision, StreamExists};
    match expected {
        Some(Any(_)) => Ok(ExpectedRevision::Any),
        Some(StreamExists(_)) => Ok(ExpectedRevision::StreamExists),
        Some(NoStream(_)) => Ok(ExpectedRevision::NoStream),
        Some(Revision(revision)) => exact(revision),
        None => Err(missing()),
    }
}

fn exact(revision: u64) -> Result<ExpectedRevision, Status> {
    i64::try_from(revision)
        .map(ExpectedRevision::Exact)
        .map_err(|_| Status::invalid_argument(format!("{revision} is not a valid stream revision.")))
}

fn missing() -> Status {
    Status::invalid_argument("The expected stream revision is missing.")
}
