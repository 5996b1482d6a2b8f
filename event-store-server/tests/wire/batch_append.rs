//! `Streams.BatchAppend`.

use super::process::{PROGRAM, Process, peak};
use super::support::*;
use prost::Message as _;
use shared::wrong_expected_version::{CurrentStreamRevisionOption, ExpectedStreamPositionOption};
use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;
use streams::batch_append_req::options::{DeadlineOption, ExpectedStreamPosition};
use streams::batch_append_req::{Options, ProposedMessage};
use streams::batch_append_resp::Result as Outcome;
use streams::batch_append_resp::success::{CurrentRevisionOption, PositionOption};
use streams::{BatchAppendReq, BatchAppendResp};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

struct Session {
    requests: mpsc::Sender<BatchAppendReq>,
    answers: Streaming<BatchAppendResp>,
}

async fn session(client: &mut Client) -> Session {
    let (requests, receiver) = mpsc::channel(1_024);
    let answers = client.batch_append(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    Session { requests, answers }
}

impl Session {
    async fn send(&self, request: BatchAppendReq) {
        self.requests.send(request).await.unwrap();
    }

    async fn answer(&mut self) -> BatchAppendResp {
        tokio::time::timeout(PATIENCE, self.answers.message()).await.unwrap().unwrap().expect("an answer")
    }

    /// `count` answers by their correlation ids.
    async fn answers(&mut self, count: usize) -> HashMap<u128, BatchAppendResp> {
        let mut answers = HashMap::new();
        for _ in 0..count {
            let answer = self.answer().await;
            answers.insert(id_of(answer.correlation_id.clone()), answer);
        }
        answers
    }
}

fn messages(events: Vec<Event>) -> Vec<ProposedMessage> {
    events
        .into_iter()
        .map(|event| ProposedMessage {
            id: Some(wire_id(event.id)),
            metadata: [
                ("type".to_owned(), event.event_type),
                ("content-type".to_owned(), "application/octet-stream".to_owned()),
            ]
            .into(),
            custom_metadata: Vec::new().into(),
            data: event.data.into(),
        })
        .collect()
}

fn request(
    correlation_id: u128,
    stream: &str,
    expected: ExpectedStreamPosition,
    events: Vec<Event>,
) -> BatchAppendReq {
    BatchAppendReq {
        correlation_id: Some(wire_id(correlation_id)),
        options: Some(Options {
            stream_identifier: Some(identifier(stream)),
            expected_stream_position: Some(expected),
            deadline_option: None,
        }),
        proposed_messages: messages(events),
        is_final: true,
    }
}

/// Revision and position, or code and name of the failure.
fn outcome(answer: &BatchAppendResp) -> Result<(Option<u64>, Option<u64>), (Code, String)> {
    match answer.result.clone().unwrap() {
        Outcome::Success(success) => Ok((
            match success.current_revision_option.unwrap() {
                CurrentRevisionOption::CurrentRevision(revision) => Some(revision),
                CurrentRevisionOption::NoStream(()) => None,
            },
            match success.position_option.unwrap() {
                PositionOption::Position(position) => Some(position.commit_position),
                PositionOption::NoPosition(()) => None,
            },
        )),
        Outcome::Error(status) => Err((Code::from(status.code), status.message)),
    }
}

#[tokio::test]
async fn one_failing_append_among_good_ones_fails_alone() {
    let (_dir, server, mut client) = fresh().await;
    let mut session = session(&mut client).await;
    session.send(request(1, "a", ExpectedStreamPosition::NoStream(()), events([1, 2]))).await;
    assert_eq!(outcome(&session.answer().await), Ok((Some(1), Some(2))));

    session.send(request(2, "a", ExpectedStreamPosition::StreamPosition(7), events([9]))).await;
    session.send(request(3, "b", ExpectedStreamPosition::Any(()), events([3]))).await;
    session.send(request(4, "", ExpectedStreamPosition::Any(()), events([9]))).await;
    session.send(request(5, "a", ExpectedStreamPosition::StreamPosition(1), events([4]))).await;
    let answers = session.answers(4).await;
    assert_eq!(outcome(&answers[&2]), Err((Code::AlreadyExists, "WrongExpectedVersion".into())));
    assert!(outcome(&answers[&3]).is_ok());
    assert_eq!(outcome(&answers[&4]), Err((Code::InvalidArgument, "BadRequest".into())));
    assert_eq!(outcome(&answers[&5]).unwrap().0, Some(2));
    for (id, stream) in [(2, "a"), (3, "b"), (4, ""), (5, "a")] {
        assert_eq!(name(answers[&id].stream_identifier.clone()), stream, "echoed always");
    }

    let Outcome::Error(status) = answers[&2].result.clone().unwrap() else { panic!("an error") };
    let details = status.details.unwrap();
    assert_eq!(details.type_url, "type.googleapis.com/event_store.client.WrongExpectedVersion");
    let wrong = shared::WrongExpectedVersion::decode(&*details.value).unwrap();
    assert_eq!(
        wrong.current_stream_revision_option,
        Some(CurrentStreamRevisionOption::CurrentStreamRevision(1))
    );
    assert_eq!(
        wrong.expected_stream_position_option,
        Some(ExpectedStreamPositionOption::ExpectedStreamPosition(7))
    );

    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), [1, 2, 4]);
    server.stop().await;
}

#[tokio::test]
async fn fragments_are_joined_by_their_correlation_id() {
    let (_dir, server, mut client) = fresh().await;
    let mut session = session(&mut client).await;
    let fragment = |id, options, events, is_final| BatchAppendReq {
        correlation_id: Some(wire_id(id)),
        options,
        proposed_messages: messages(events),
        is_final,
    };
    let options = |stream| request(0, stream, ExpectedStreamPosition::NoStream(()), vec![]).options;
    session.send(fragment(1, options("a"), events([1]), false)).await;
    session.send(fragment(2, options("b"), events([5]), false)).await;
    session.send(fragment(1, None, events([2, 3]), false)).await;
    session.send(fragment(2, None, vec![], true)).await;
    session.send(fragment(1, None, events([4]), true)).await;
    session.send(fragment(3, None, events([9]), true)).await;
    let answers = session.answers(3).await;
    assert_eq!(outcome(&answers[&1]).unwrap().0, Some(3));
    assert_eq!(outcome(&answers[&2]).unwrap().0, Some(0));
    assert_eq!(outcome(&answers[&3]), Err((Code::InvalidArgument, "BadRequest".into())), "no options came");
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), [1, 2, 3, 4]);
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_gets_its_first_answer() {
    let (_dir, server, mut client) = fresh().await;
    let mut session = session(&mut client).await;
    for correlation_id in 1..=3 {
        session.send(request(correlation_id, "a", ExpectedStreamPosition::Any(()), events([1, 2]))).await;
        assert_eq!(outcome(&session.answer().await), Ok((Some(1), Some(2))));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_a_timeout_and_one_far_away_is_none() {
    let (_dir, server, mut client) = fresh().await;
    let mut session = session(&mut client).await;
    let with = |id, deadline| {
        let mut request = request(id, "a", ExpectedStreamPosition::Any(()), events([id]));
        request.options.as_mut().unwrap().deadline_option = Some(deadline);
        request
    };
    let duration = |seconds| DeadlineOption::Deadline(prost_types::Duration { seconds, nanos: 0 });
    let time = |seconds| DeadlineOption::Deadline21100(prost_types::Timestamp { seconds, nanos: 0 });
    let now = service_kit::clock::unix_micros() / 1_000_000;
    session.send(with(1, duration(0))).await;
    session.send(with(2, duration(-5))).await;
    session.send(with(3, time(now - 10))).await;
    session.send(with(4, duration(now + 10))).await;
    session.send(with(5, time(now + 10))).await;
    let answers = session.answers(5).await;
    for late in 1..=3 {
        assert_eq!(outcome(&answers[&late]), Err((Code::DeadlineExceeded, "Timeout".into())), "{late}");
    }
    assert!(outcome(&answers[&4]).is_ok() && outcome(&answers[&5]).is_ok());
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()).len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn an_append_of_which_the_last_fragment_is_late_is_a_timeout_and_holds_nothing_any_more() {
    let limits = event_store_server::Limits { max_pending_bytes: 1 << 20, ..Default::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let mut session = session(&mut client).await;
    let large = |id| vec![Event { data: vec![b'x'; 900 << 10], ..event(id) }];
    let any = ExpectedStreamPosition::Any(());
    let mut late = BatchAppendReq { is_final: false, ..request(1, "a", any, large(1)) };
    let tenth = prost_types::Duration { seconds: 0, nanos: 100_000_000 };
    late.options.as_mut().unwrap().deadline_option = Some(DeadlineOption::Deadline(tenth));
    session.send(late).await;
    assert_eq!(outcome(&session.answer().await), Err((Code::DeadlineExceeded, "Timeout".into())));

    session.send(BatchAppendReq { options: None, ..request(1, "a", any, vec![]) }).await;
    assert_eq!(outcome(&session.answer().await), Err((Code::InvalidArgument, "BadRequest".into())));
    session.send(request(2, "a", any, large(2))).await;
    assert!(outcome(&session.answer().await).is_ok());
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), [2]);
    server.stop().await;
}

#[tokio::test]
async fn a_session_of_which_nobody_reads_the_answers_holds_nothing_for_ever_either() {
    let limits = event_store_server::Limits { max_pending_bytes: 1 << 20, ..Default::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let large = |id| vec![Event { data: vec![b'x'; 900 << 10], ..event(id) }];
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.addr)).unwrap();
    let connection = endpoint.initial_stream_window_size(1 << 10).connect().await.unwrap();
    let mut session = session(&mut Client::new(connection)).await;
    let anything = ExpectedStreamPosition::Any(());
    let mut late = BatchAppendReq { is_final: false, ..request(1, "a", anything, large(1)) };
    let second = prost_types::Duration { seconds: 1, nanos: 0 };
    late.options.as_mut().unwrap().deadline_option = Some(DeadlineOption::Deadline(second));
    session.send(late).await;
    // More refusals than are kept on the way to somebody who reads the first one only.
    for id in 2..=2_000 {
        session.send(BatchAppendReq { options: None, ..request(id, "a", anything, vec![]) }).await;
    }
    session.answer().await;

    let appended = async { while append(&mut client, "b", any(), large(2)).await.is_err() {} };
    tokio::time::timeout(PATIENCE, appended).await.expect("its part of the pending bytes is free again");
    drop(session);
    server.stop().await;
}

/// How many sessions a server has.
async fn sessions(process: &Process) -> usize {
    let (_, metrics) = process.http("/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with("event_store_sessions")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_which_the_answers_leave_no_room_for_more_ends_and_is_told_why() {
    let mut command = Command::new(PROGRAM);
    // Of this a connection has a quarter, in which there is room for one of these answers and not for two.
    let process = Process::start_without_data(command.args(["--mem", "--max-unread-bytes", "32768"]));
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", process.addr)).unwrap();
    let connection = endpoint.initial_stream_window_size(1 << 10).connect().await.unwrap();
    let mut session = session(&mut Client::new(connection)).await;
    assert_eq!(sessions(&process).await, 1);
    // Answers that come together are taken for as much as there can be: the next ones find no room.
    let ended = async {
        let mut id = 0;
        while sessions(&process).await > 0 {
            id += 1;
            let one = request(id, &"n".repeat(4_096), ExpectedStreamPosition::Any(()), events([id]));
            // It does not matter what becomes of one that comes too late.
            drop(session.requests.try_send(one));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it finds no room and ends");

    let told = async {
        loop {
            match session.answers.message().await {
                Ok(answer) => assert!(outcome(&answer.expect("it ends with a status")).is_ok()),
                Err(status) => break status,
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, told).await.expect("it ends");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("do not read"), "{status}");
    assert!(peak(&process) < 192 << 20, "{} MiB", peak(&process) >> 20);
}

#[tokio::test]
async fn what_is_too_long_is_not_said_again() {
    let (_dir, server, mut client) = fresh().await;
    let mut session = session(&mut client).await;
    let any = ExpectedStreamPosition::Any(());
    let long = shared::Uuid { value: Some(shared::uuid::Value::String("1".repeat(100_000))) };
    session.send(BatchAppendReq { correlation_id: Some(long), ..request(1, "a", any, events([1])) }).await;
    session.send(request(2, &"n".repeat(100_000), any, events([2]))).await;
    for _ in 0..2 {
        let answer = session.answer().await;
        assert_eq!(outcome(&answer).unwrap_err().0, Code::InvalidArgument);
        assert!(answer.stream_identifier.unwrap().stream_name.is_empty());
        assert!(answer.correlation_id.is_none_or(|id| id == wire_id(2)));
    }
    server.stop().await;
}

#[tokio::test]
async fn sizes_over_the_limits_have_failures_of_their_own() {
    let limits =
        event_store_server::Limits { max_event_bytes: 1_000, max_append_bytes: 1_500, ..Default::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let mut session = session(&mut client).await;
    let of_size = |id, size| Event { data: vec![b' '; size], ..event(id) };
    let any = ExpectedStreamPosition::Any(());
    session.send(request(1, "a", any, vec![of_size(1, 1_100)])).await;
    session.send(request(2, "a", any, vec![of_size(1, 900), of_size(2, 900)])).await;
    session.send(request(3, "a", any, vec![of_size(1, 900)])).await;
    let answers = session.answers(3).await;
    let refused = |name: &str| Err((Code::InvalidArgument, name.to_owned()));
    assert_eq!(outcome(&answers[&1]), refused("MaximumAppendEventSizeExceeded"));
    assert_eq!(outcome(&answers[&2]), refused("MaximumAppendSizeExceeded"));
    assert!(outcome(&answers[&3]).is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_session_ends_well_when_its_client_ends_it_and_with_unavailable_on_shutdown() {
    let (_dir, server, mut client) = fresh().await;
    let mut ended = session(&mut client).await;
    for id in 1..=100 {
        ended.send(request(id, "a", ExpectedStreamPosition::Any(()), events([id]))).await;
    }
    drop(ended.requests);
    for _ in 0..100 {
        assert!(outcome(&ended.answers.message().await.unwrap().unwrap()).is_ok());
    }
    assert!(ended.answers.message().await.unwrap().is_none());

    let mut open = session(&mut client).await;
    open.send(request(101, "a", ExpectedStreamPosition::Any(()), events([101]))).await;
    assert!(outcome(&open.answer().await).is_ok());
    server.shutdown.cancel();
    let status = tokio::time::timeout(PATIENCE, open.answers.message()).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    server.stop().await;
}
