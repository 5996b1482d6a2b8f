//! `Streams.Delete` and `Streams.Tombstone`: the two ways to delete a stream.

use super::proposal::{commit, unsigned};
use super::{Streams, expected_revision, identifiers, status};
use crate::log::{Change, Changed, What};
use crate::protocol::shared::Empty;
use crate::protocol::streams::{
    DeleteReq, DeleteResp, TombstoneReq, TombstoneResp, delete_resp, tombstone_resp,
};
use tonic::Status;

/// Deletes a stream until somebody appends to it again; its events are not visible any more.
pub(super) async fn delete(streams: &Streams, request: DeleteReq) -> Result<DeleteResp, Status> {
    use delete_resp::{Position, PositionOption};
    let options = request.options.ok_or_else(missing)?;
    let stream = identifiers::stream_name(options.stream_identifier, &streams.limits)?;
    let expected = expected_revision::of_delete(options.expected_stream_revision)?;
    let deletion = Change { stream, expected, what: What::Delete, held: None };
    let position = change("Delete", streams, deletion).await?;
    Ok(DeleteResp {
        position_option: Some(match position {
            Some(position) => {
                PositionOption::Position(Position { commit_position: position, prepare_position: position })
            }
            None => PositionOption::NoPosition(Empty {}),
        }),
    })
}

/// Deletes a stream for ever.
pub(super) async fn tombstone(streams: &Streams, request: TombstoneReq) -> Result<TombstoneResp, Status> {
    use tombstone_resp::{Position, PositionOption};
    let options = request.options.ok_or_else(missing)?;
    let stream = identifiers::stream_name(options.stream_identifier, &streams.limits)?;
    let expected = expected_revision::of_tombstone(options.expected_stream_revision)?;
    let deletion = Change { stream, expected, what: What::Tombstone, held: None };
    let position = change("Tombstone", streams, deletion).await?;
    Ok(TombstoneResp {
        position_option: Some(match position {
            Some(position) => {
                PositionOption::Position(Position { commit_position: position, prepare_position: position })
            }
            None => PositionOption::NoPosition(Empty {}),
        }),
    })
}

/// The position of what was written.
async fn change(operation: &str, streams: &Streams, change: Change) -> Result<Option<u64>, Status> {
    let (stream, expected) = (change.stream.clone(), change.expected);
    match commit(change, streams, streams.limits.write_timeout).await? {
        Changed::Durable { position, .. } => Ok(position.map(unsigned)),
        Changed::WrongExpectedRevision { current } => {
            Err(status::wrong_expected_version(operation, &stream, expected, current))
        }
        Changed::StreamDeleted => Err(status::stream_deleted(&stream)),
    }
}

fn missing() -> Status {
    Status::invalid_argument("The options of the deletion are missing.")
}
