//! `Streams.Append`: one append, a message an event, answered when it is durable.

use super::proposal::{Message, Proposal, unsigned};
use super::{Streams, expected_revision, identifiers, status};
use crate::log::{Changed, ExpectedRevision};
use crate::protocol::shared::Empty;
use crate::protocol::streams::append_req::{Content, ProposedMessage};
use crate::protocol::streams::append_resp::success::{CurrentRevisionOption, PositionOption};
use crate::protocol::streams::append_resp::wrong_expected_version::{
    CurrentRevisionOption as Current, CurrentRevisionOption2060 as Current2060,
    ExpectedRevisionOption as Expected, ExpectedRevisionOption2060 as Expected2060,
};
use crate::protocol::streams::append_resp::{Position, Result as Outcome, Success, WrongExpectedVersion};
use crate::protocol::streams::{AppendReq, AppendResp};
use tonic::{Status, Streaming};

pub(super) async fn append(
    streams: &Streams,
    mut requests: Streaming<AppendReq>,
) -> Result<AppendResp, Status> {
    let Some(Content::Options(options)) = next(&mut requests).await? else {
        return Err(Status::invalid_argument("The first message of an append has to be its options."));
    };
    let stream = identifiers::stream_name(options.stream_identifier, &streams.limits)?;
    let expected = expected_revision::of_append(options.expected_stream_revision)?;
    let mut proposal = Proposal::new(stream.clone(), expected);
    while let Some(content) = next(&mut requests).await? {
        let Content::ProposedMessage(ProposedMessage { id, metadata, custom_metadata, data }) = content
        else {
            return Err(Status::invalid_argument("The options of an append may come only once."));
        };
        proposal.add(Message { id, metadata, custom_metadata, data }, streams)?;
    }
    // With it goes the buffer that its largest message had.
    drop(requests);
    let outcome = match proposal.commit(streams, streams.limits.write_timeout).await? {
        Changed::Durable { revision, position } => Outcome::Success(Success {
            current_revision_option: Some(match revision {
                Some(revision) => CurrentRevisionOption::CurrentRevision(unsigned(revision)),
                None => CurrentRevisionOption::NoStream(Empty {}),
            }),
            position_option: Some(match position.map(unsigned) {
                Some(position) => PositionOption::Position(Position {
                    commit_position: position,
                    prepare_position: position,
                }),
                None => PositionOption::NoPosition(Empty {}),
            }),
        }),
        Changed::WrongExpectedRevision { current } => {
            Outcome::WrongExpectedVersion(wrong_expected_version(expected, current.map(unsigned)))
        }
        Changed::StreamDeleted => return Err(status::stream_deleted(&stream)),
    };
    Ok(AppendResp { result: Some(outcome) })
}

async fn next(requests: &mut Streaming<AppendReq>) -> Result<Option<Content>, Status> {
    match requests.message().await? {
        Some(AppendReq { content: Some(content) }) => Ok(Some(content)),
        Some(AppendReq { content: None }) => {
            Err(Status::invalid_argument("A message of the append is empty."))
        }
        None => Ok(None),
    }
}

fn wrong_expected_version(expected: ExpectedRevision, current: Option<u64>) -> WrongExpectedVersion {
    let (expected, expected_2060) = match expected {
        ExpectedRevision::Any => (Expected::ExpectedAny(Empty {}), Expected2060::Any2060(Empty {})),
        ExpectedRevision::StreamExists => {
            (Expected::ExpectedStreamExists(Empty {}), Expected2060::StreamExists2060(Empty {}))
        }
        ExpectedRevision::NoStream => {
            (Expected::ExpectedNoStream(Empty {}), Expected2060::ExpectedRevision2060(u64::MAX))
        }
        ExpectedRevision::Exact(revision) => {
            let revision = unsigned(revision);
            (Expected::ExpectedRevision(revision), Expected2060::ExpectedRevision2060(revision))
        }
    };
    let (current, current_2060) = match current {
        Some(revision) => (Current::CurrentRevision(revision), Current2060::CurrentRevision2060(revision)),
        None => (Current::CurrentNoStream(Empty {}), Current2060::NoStream2060(Empty {})),
    };
    WrongExpectedVersion {
        current_revision_option: Some(current),
        current_revision_option_20_6_0: Some(current_2060),
        expected_revision_option: Some(expected),
        expected_revision_option_20_6_0: Some(expected_2060),
    }
}
