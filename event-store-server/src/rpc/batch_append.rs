//! `Streams.BatchAppend`: a session of many appends. Fragments with the same correlation id make one append; answers
//! come in any order; an append that fails says so in its answer and the session goes on.

mod waiting;

use super::proposal::{BESIDE, CommitError, Message, Proposal, Refusal, hold, unsigned};
use super::responses::{End, Pages, Responses, respond};
use super::{Streams, expected_revision, identifiers, status};
use crate::log::{Changed, ExpectedRevision, Figures};
use crate::memory::Memory;
use crate::protocol::rpc::Status as WireStatus;
use crate::protocol::shared::wrong_expected_version::{
    CurrentStreamRevisionOption, ExpectedStreamPositionOption,
};
use crate::protocol::shared::{
    AllStreamPosition, BadRequest, MaximumAppendEventSizeExceeded, MaximumAppendSizeExceeded, StreamDeleted,
    StreamIdentifier, Timeout, Unknown, Uuid as WireUuid, WrongExpectedVersion,
};
use crate::protocol::streams::batch_append_req::options::{DeadlineOption, ExpectedStreamPosition};
use crate::protocol::streams::batch_append_req::{Options, ProposedMessage};
use crate::protocol::streams::batch_append_resp::success::{CurrentRevisionOption, PositionOption};
use crate::protocol::streams::batch_append_resp::{
    ExpectedStreamPosition as AnsweredPosition, Result as Outcome, Success,
};
use crate::protocol::streams::{BatchAppendReq, BatchAppendResp};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Response, Status, Streaming};
use uuid::Uuid;
use waiting::{Answered, Waiting};

/// So many appends of a session may be waiting for their commit; then its requests wait to be read.
const IN_FLIGHT: usize = 1024;

/// So many appends of a session may be waiting for their further fragments.
const UNFINISHED: usize = 1024;

pub(super) fn batch_append(
    streams: &Streams,
    unread: Memory,
    requests: Streaming<BatchAppendReq>,
) -> Response<Responses<BatchAppendResp>> {
    let streams = streams.clone();
    // The session hears of the shutdown itself, since it has commits to wait for first.
    let under_way = Figures::session();
    respond(CancellationToken::new(), unread, move |pages| async move {
        let _under_way = under_way;
        session(streams, requests, pages).await
    })
}

async fn session(
    streams: Streams,
    mut requests: Streaming<BatchAppendReq>,
    pages: Pages<BatchAppendResp>,
) -> Result<(), End> {
    let mut unfinished: HashMap<Uuid, Unfinished> = HashMap::new();
    let mut in_flight = FuturesUnordered::new();
    // While they wait for a client that does not read, appends are committed and become late, but no request is read.
    let mut waiting = Waiting::default();
    let mut end = None;
    while end.is_none() || !in_flight.is_empty() || !waiting.is_empty() {
        let takes = end.is_none() && waiting.is_empty() && in_flight.len() < IN_FLIGHT;
        let first_late = unfinished.values().map(Unfinished::left).min();
        tokio::select! {
            request = requests.message(), if takes => match request {
                Ok(Some(request)) => match take(request, &mut unfinished, &streams) {
                    Ok(Some(append)) => in_flight.push(append.commit(&streams)),
                    Ok(None) => {}
                    Err(refusal) => waiting.add(*refusal),
                },
                Ok(None) => end = Some(Ok(())),
                Err(status) => end = Some(Err(End::Status(status))),
            },
            Some(answer) = in_flight.next() => {
                waiting.add(answer);
                // A commit answers many at once, and they go out together.
                while let Some(Some(answer)) = in_flight.next().now_or_never() {
                    waiting.add(answer);
                }
            }
            () = tokio::time::sleep(first_late.unwrap_or_default()), if first_late.is_some() => {
                let late = unfinished.extract_if(|_, append| append.left().is_zero());
                late.for_each(|(_, append)| waiting.add(*append.answer.fail(timed_out())));
            }
            put = waiting.go_on(&pages), if !waiting.is_empty() => put?,
            () = streams.shutdown.cancelled(), if end.is_none() => {
                end = Some(Err(End::Status(status::shutting_down())));
            }
        }
        if end.is_some() {
            unfinished.clear();
        }
    }
    end.unwrap_or(Ok(()))
}

/// An append of which the last fragment has not come, or which waits for its commit.
struct Unfinished {
    answer: Answer,
    proposal: Proposal,
    expected: ExpectedRevision,
    /// When its first fragment came, and how long after that its caller waits.
    begun: Instant,
    timeout: Duration,
}

/// What every answer repeats of its request, where that is an id and the name of a stream.
#[derive(Default)]
struct Answer {
    correlation_id: Option<WireUuid>,
    stream_identifier: Option<StreamIdentifier>,
    expected: Option<ExpectedStreamPosition>,
    /// Its part of what all appends under way may hold, beside their events.
    held: Option<OwnedSemaphorePermit>,
}

/// Takes a fragment. Gives the append when it is complete, or the answer that refuses it.
fn take(
    request: BatchAppendReq,
    unfinished: &mut HashMap<Uuid, Unfinished>,
    streams: &Streams,
) -> Result<Option<Unfinished>, Box<Answered>> {
    let BatchAppendReq { correlation_id, options, proposed_messages, is_final } = request;
    let id =
        identifiers::parse_uuid(correlation_id.as_ref()).map_err(|error| Answer::default().refuse(error))?;
    let answer = Answer { correlation_id, ..Answer::default() };
    // Options that come again change nothing.
    let mut append = match (unfinished.remove(&id), options) {
        (Some(append), _) => append,
        (None, Some(options)) => begin(answer, options, streams)?,
        (None, None) => {
            let text = "The first fragment of an append needs its options; or it was refused already.";
            return Err(answer.refuse(Status::invalid_argument(text)));
        }
    };
    if append.left().is_zero() {
        return Err(append.answer.fail(timed_out()));
    }
    for ProposedMessage { id, metadata, custom_metadata, data } in proposed_messages {
        let message = Message { id, metadata, custom_metadata, data };
        if let Err(error) = append.proposal.add(message, streams) {
            return Err(append.answer.refuse(error));
        }
    }
    if is_final {
        return Ok(Some(append));
    }
    if unfinished.len() >= UNFINISHED {
        return Err(append.answer.refuse(status::too_busy()));
    }
    unfinished.insert(id, append);
    Ok(None)
}

fn begin(mut answer: Answer, options: Options, streams: &Streams) -> Result<Unfinished, Box<Answered>> {
    let (begun, timeout) = (Instant::now(), requested_timeout(&options).min(streams.limits.write_timeout));
    let Options { stream_identifier, expected_stream_position, .. } = options;
    answer.expected = expected_stream_position;
    let name = stream_identifier.as_ref().map_or(0, |stream| stream.stream_name.len());
    if name <= streams.limits.max_name_bytes {
        answer.stream_identifier.clone_from(&stream_identifier);
    }
    let checked = identifiers::stream_name(stream_identifier, &streams.limits).and_then(|stream| {
        let expected = expected_revision::of_batch_append(expected_stream_position)?;
        Ok((Proposal::new(stream, expected), expected))
    });
    // The append has the name, and its answer; that may tell it once more.
    let held = checked.and_then(|proposal| Ok((proposal, hold(BESIDE + 3 * name, &streams.pending)?)));
    match held {
        Ok(((proposal, expected), held)) => {
            answer.held = Some(held);
            Ok(Unfinished { answer, proposal, expected, begun, timeout })
        }
        Err(error) => Err(answer.refuse(error)),
    }
}

/// How long the caller is willing to wait. Some clients send the time of day here, as a duration: that only means
/// that the server's own limit holds.
fn requested_timeout(options: &Options) -> Duration {
    match &options.deadline_option {
        Some(DeadlineOption::Deadline(duration)) => Duration::try_from(*duration).unwrap_or_default(),
        Some(DeadlineOption::Deadline21100(time)) => {
            let micros = i128::from(time.seconds) * 1_000_000 + i128::from(time.nanos) / 1_000;
            let left = micros - i128::from(service_kit::clock::unix_micros());
            Duration::from_micros(u64::try_from(left.max(0)).unwrap_or(u64::MAX))
        }
        None => Duration::MAX,
    }
}

impl Unfinished {
    /// How much longer its caller waits.
    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.begun.elapsed())
    }

    async fn commit(self, streams: &Streams) -> Answered {
        let left = self.left();
        let Self { answer, proposal, expected, .. } = self;
        match proposal.commit(streams, left).await {
            Ok(Changed::Durable { revision, position }) => answer.with(Outcome::Success(Success {
                current_revision_option: Some(match revision {
                    Some(revision) => CurrentRevisionOption::CurrentRevision(unsigned(revision)),
                    None => CurrentRevisionOption::NoStream(()),
                }),
                position_option: Some(match position.map(unsigned) {
                    Some(position) => PositionOption::Position(AllStreamPosition {
                        commit_position: position,
                        prepare_position: position,
                    }),
                    None => PositionOption::NoPosition(()),
                }),
            })),
            Ok(Changed::WrongExpectedRevision { current }) => {
                *answer.fail(wrong_expected_version(expected, current.map(unsigned)))
            }
            Ok(Changed::StreamDeleted) => {
                let stream_identifier = answer.stream_identifier.clone();
                *answer.fail(named(Code::NotFound, "StreamDeleted", &StreamDeleted { stream_identifier }))
            }
            Err(CommitError::Timeout) => *answer.fail(timed_out()),
            Err(CommitError::Log(error)) => *answer.refuse(Status::from(error)),
        }
    }
}

impl Answer {
    fn with(self, outcome: Outcome) -> Answered {
        let expected_stream_position = self.expected.map(|expected| match expected {
            ExpectedStreamPosition::StreamPosition(revision) => AnsweredPosition::StreamPosition(revision),
            ExpectedStreamPosition::NoStream(()) => AnsweredPosition::NoStream(()),
            ExpectedStreamPosition::Any(()) => AnsweredPosition::Any(()),
            ExpectedStreamPosition::StreamExists(()) => AnsweredPosition::StreamExists(()),
        });
        let answer = BatchAppendResp {
            correlation_id: self.correlation_id,
            result: Some(outcome),
            // Always there: a client of the protocol breaks without it.
            stream_identifier: Some(self.stream_identifier.unwrap_or_default()),
            expected_stream_position,
        };
        Answered { answer, held: self.held }
    }

    fn fail(self, status: WireStatus) -> Box<Answered> {
        Box::new(self.with(Outcome::Error(status)))
    }

    /// Fails with what a single append would have failed with.
    fn refuse(self, refusal: impl Into<Refusal>) -> Box<Answered> {
        self.fail(match refusal.into() {
            Refusal::EventTooLarge { id, size, limit } => named(
                Code::InvalidArgument,
                "MaximumAppendEventSizeExceeded",
                &MaximumAppendEventSizeExceeded {
                    event_id: id.to_string(),
                    proposed_event_size: saturated(size),
                    max_append_event_size: saturated(limit),
                },
            ),
            Refusal::AppendTooLarge { limit } => named(
                Code::InvalidArgument,
                "MaximumAppendSizeExceeded",
                &MaximumAppendSizeExceeded { max_append_size: saturated(limit) },
            ),
            Refusal::Status(status) if status.code() == Code::InvalidArgument => {
                let message = status.message().to_owned();
                named(Code::InvalidArgument, "BadRequest", &BadRequest { message })
            }
            Refusal::Status(status) => described(status.code(), status.message(), "Unknown", &Unknown {}),
        })
    }
}

fn saturated(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn timed_out() -> WireStatus {
    named(Code::DeadlineExceeded, "Timeout", &Timeout {})
}

fn wrong_expected_version(expected: ExpectedRevision, current: Option<u64>) -> WireStatus {
    let details = WrongExpectedVersion {
        current_stream_revision_option: Some(match current {
            Some(revision) => CurrentStreamRevisionOption::CurrentStreamRevision(revision),
            None => CurrentStreamRevisionOption::CurrentNoStream(()),
        }),
        expected_stream_position_option: Some(match expected {
            ExpectedRevision::Any => ExpectedStreamPositionOption::ExpectedAny(()),
            ExpectedRevision::StreamExists => ExpectedStreamPositionOption::ExpectedStreamExists(()),
            ExpectedRevision::NoStream => ExpectedStreamPositionOption::ExpectedNoStream(()),
            ExpectedRevision::Exact(revision) => {
                ExpectedStreamPositionOption::ExpectedStreamPosition(unsigned(revision))
            }
        }),
    };
    named(Code::AlreadyExists, "WrongExpectedVersion", &details)
}

/// A failure that the protocol has a message of its own for.
fn named(code: Code, name: &str, details: &impl prost::Message) -> WireStatus {
    described(code, name, name, details)
}

/// A failure told in `text`, with a message of type `name` as its details.
fn described(code: Code, text: &str, name: &str, details: &impl prost::Message) -> WireStatus {
    let type_url = format!("type.googleapis.com/event_store.client.{name}");
    let details = prost_types::Any { type_url, value: details.encode_to_vec() };
    WireStatus { code: code.into(), message: text.to_owned(), details: Some(details) }
}
