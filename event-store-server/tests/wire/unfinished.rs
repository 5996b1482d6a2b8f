//! Clients that send much and end nothing, or make much of little.

use super::process::{PROGRAM, Process, peak};
use super::support::*;
use bytes::Bytes;
use event_store_server::Limits;
use futures_util::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message as _;
use std::process::Command;
use std::time::Duration;
use streams::BatchAppendReq;
use streams::batch_append_req::{Options, ProposedMessage, options::ExpectedStreamPosition};
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Service as _, ServiceExt as _};

/// What a server may have had in RAM after all that these tests do to it, in bytes.
const MEMORY: u64 = 192 << 20;

/// The largest message.
const LARGEST: usize = 16 << 20;

/// The beginning of a request: a message that is said to have so many bytes, and those that come of it.
fn said_to_have(bytes: usize, come: &[u8]) -> Bytes {
    let length = u32::try_from(bytes).unwrap().to_be_bytes();
    [&[0][..], &length, come].concat().into()
}

/// The status of a call with these messages, of which no end comes.
async fn status_of(mut channel: Channel, method: &str, sent: Bytes, ends: bool) -> Status {
    let sent = stream::iter([Ok::<_, Status>(Frame::data(sent))]);
    let body = match ends {
        true => Body::new(StreamBody::new(sent)),
        false => Body::new(StreamBody::new(sent.chain(stream::pending()))),
    };
    let request = http::Request::post(format!("/event_store.client.streams.Streams/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    match Status::from_header_map(response.headers()) {
        Some(status) => status,
        None => {
            let answers = response.into_body().collect().await.unwrap();
            Status::from_header_map(answers.trailers().expect("a call has an end")).unwrap()
        }
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it comes")
}

fn start() -> Process {
    Process::start_without_data(Command::new(PROGRAM).arg("--mem"))
}

#[tokio::test(flavor = "multi_thread")]
async fn half_messages_take_no_more_memory_than_their_connection_has_and_others_notice_nothing() {
    let process = start();
    let half = said_to_have(LARGEST, &vec![0; LARGEST - 1]);
    let sender = channel(process.addr).await;
    for method in ["Read", "Delete"] {
        for _ in 0..20 {
            let status = in_time(status_of(sender.clone(), method, half.clone(), false)).await;
            assert_eq!(status.code(), Code::ResourceExhausted, "{method}: {status}");
        }
    }
    let mut calls = JoinSet::new();
    for method in ["Append", "BatchAppend"].repeat(20) {
        calls.spawn(status_of(sender.clone(), method, half.clone(), false));
    }
    // Four have begun to come in, which is the share of their connection.
    while calls.len() > 4 {
        let status = in_time(calls.join_next()).await.unwrap().unwrap();
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "Server Is Too Busy"));
    }
    let mut other = client(process.addr).await;
    let large = Event { data: vec![b'x'; 1 << 20], ..event(1) };
    append(&mut other, "a", any(), vec![large]).await.unwrap();
    append(&mut Client::new(sender), "a", any(), events([2])).await.expect("small ones need none of it");
    assert_eq!(ids(&read(&mut other, read_options("a")).await.unwrap()), [1, 2]);
    assert!(peak(&process) < MEMORY, "{} MiB", peak(&process) >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_would_become_much_larger_is_not_decoded() {
    let process = start();
    let sender = channel(process.addr).await;
    // Events that say nothing; and one event, with keys of three bytes that say nothing.
    let allowed = [0x1a, 0].repeat(192 << 10);
    let status =
        in_time(status_of(sender.clone(), "BatchAppend", said_to_have(allowed.len(), &allowed), true)).await;
    assert_eq!(status.code(), Code::Ok, "so many are decoded, and are answered for what they are: {status}");
    let (nothing, one_more) = ([0x1a, 0].repeat(LARGEST / 2), [0x1a, 0].repeat((192 << 10) + 1));
    let keys = (0..1_800_000_u32).flat_map(|key| {
        let [a, b, c, _] = key.to_le_bytes();
        [0x12, 5, 0x0a, 3, a & 0x7f, (b & 0x3f) << 1 | a >> 7, (c << 2 | b >> 6) & 0x7f]
    });
    let keys: Vec<u8> = keys.collect();
    let mut event = vec![0x12];
    prost::encode_length_delimiter(keys.len(), &mut event).unwrap();
    event.extend(keys);
    for (method, message) in [("BatchAppend", &nothing), ("BatchAppend", &one_more), ("Append", &event)] {
        let sent = said_to_have(message.len(), message);
        let status = in_time(status_of(sender.clone(), method, sent, true)).await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{method}: {status}");
        assert!(status.message().contains("fields"), "{status}");
    }
    assert!(peak(&process) < MEMORY, "{} MiB", peak(&process) >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_event_does_not_keep_the_large_message_that_brought_it() {
    let process = start();
    let mut sent = Vec::new();
    for id in 1..=16 {
        let options = Options {
            stream_identifier: Some(identifier("a")),
            expected_stream_position: Some(ExpectedStreamPosition::Any(())),
            deadline_option: None,
        };
        let event = ProposedMessage {
            id: Some(wire_id(id)),
            metadata: [("type", "T"), ("content-type", "x")].map(|(k, v)| (k.into(), v.into())).into(),
            data: "small".into(),
            ..ProposedMessage::default()
        };
        let fragment = BatchAppendReq {
            correlation_id: Some(wire_id(99)),
            options: Some(options),
            proposed_messages: vec![event],
            is_final: false,
        };
        // A field that nobody knows is passed over.
        let mut message = fragment.encode_to_vec();
        message.push(15 << 3 | 2);
        prost::encode_length_delimiter(15 << 20, &mut message).unwrap();
        message.resize(message.len() + (15 << 20), 0);
        sent.extend(said_to_have(message.len(), &message));
    }
    let status = in_time(status_of(channel(process.addr).await, "BatchAppend", sent.into(), true)).await;
    assert_eq!(status.code(), Code::Ok, "{status}");
    assert!(peak(&process) < MEMORY, "{} MiB", peak(&process) >> 20);
}

/// A subscription to what a regular expression fits.
fn filtered(regex: &str) -> streams::read_req::Options {
    use streams::read_req::options::filter_options::{Expression, Filter, Window};
    use streams::read_req::options::{FilterOption, FilterOptions};
    let filter = Filter::StreamIdentifier(Expression { regex: regex.into(), prefix: vec![] });
    let filter = FilterOptions {
        filter: Some(filter),
        window: Some(Window::Max(100)),
        checkpoint_interval_multiplier: 1,
    };
    subscription(streams::read_req::Options {
        filter_option: Some(FilterOption::Filter(filter)),
        ..all_options()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_take_no_more_memory_than_their_connection_has() {
    let process = start();
    let (mut greedy, mut other) = (client(process.addr).await, client(process.addr).await);
    append(&mut other, "book-1", any(), events([1])).await.unwrap();
    let large = format!("({})", ["[a-z]{60}[0-9]{60}"; 60].join("|"));
    let (mut taken, mut refused) = (Vec::new(), 0);
    for _ in 0..500 {
        match open(&mut greedy, filtered(&large)).await {
            Ok(answers) => taken.push(answers),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                assert!(status.message().contains("filters"), "{status}");
                refused += 1;
            }
        }
    }
    assert!(taken.len() >= 8 && refused > 0, "{} {refused}", taken.len());
    let mut small = Vec::new();
    for _ in 0..300 {
        small.push(open(&mut other, filtered("^(book|user)-[0-9]+$")).await.expect("small ones take little"));
    }
    let last = small.last_mut().unwrap();
    assert!(matches!(next(last).await, Ok(Some(Content::Confirmation(_)))));
    let Ok(Some(event @ Content::Event(_))) = next(last).await else { panic!("the event comes") };
    assert_eq!(ids(&[told(event)]), [1]);
    drop(taken);
    let again = async { while open(&mut greedy, filtered(&large)).await.is_err() {} };
    in_time(again).await;
    assert!(peak(&process) < MEMORY, "{} MiB", peak(&process) >> 20);
}

#[tokio::test]
async fn the_rest_of_a_request_is_not_waited_for_without_end() {
    let limits = Limits { write_timeout: Duration::from_millis(300), ..Limits::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let half = said_to_have(2_000, &[0; 1_000]);
    let whole = streams::ReadReq { options: Some(all_options()) }.encode_to_vec();
    let whole = said_to_have(whole.len(), &whole);
    let calls = [
        ("Read", half.clone()),
        ("Tombstone", half.clone()),
        ("Append", half.clone()),
        ("BatchAppend", half),
        ("Read", Bytes::new()),
        ("Read", whole),
    ];
    for (method, sent) in calls {
        let status = in_time(status_of(server.channel().await, method, sent, false)).await;
        assert_eq!(status.code(), Code::Aborted, "{method}: {status}");
        assert!(status.message().contains("did not come in time"), "{method}: {status}");
    }

    // An append that goes on and on does not hold what others need for ever.
    let (sender, unfinished) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let mut messages = append_messages("a", any(), events(1..=100_000)).into_iter();
        while let Some(message) = messages.next()
            && sender.send(message).await.is_ok()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let append = client.append(tokio_stream::wrappers::ReceiverStream::new(unfinished));
    let status = in_time(append).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(status.message().contains("did not come in time"), "{status}");
    assert_eq!(read(&mut client, all_options()).await.unwrap(), []);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_half_messages_take_it_all_the_one_that_has_waited_longest_makes_room() {
    let limits = Limits {
        max_pending_bytes: 4 << 20,
        silence: Duration::from_millis(500),
        write_timeout: Duration::from_secs(60),
        ..Limits::default()
    };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let half = said_to_have(1 << 20, &[0; 512 << 10]);
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let sender = server.channel().await;
        let mut pair =
            [(); 2].map(|()| Box::pin(status_of(sender.clone(), "BatchAppend", half.clone(), false)));
        let [first, second] = &mut pair;
        // When one is refused, the other has all that its connection may have.
        let (status, is_first) = in_time(async {
            tokio::select! {
                status = first => (status, true),
                status = second => (status, false),
            }
        })
        .await;
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "Server Is Too Busy"));
        let [first, second] = pair;
        calls.spawn(if is_first { second } else { first });
    }
    let large = |id| vec![Event { data: vec![b'x'; 900 << 10], ..event(id) }];
    for id in 1..=3 {
        append(&mut client, "a", any(), large(id)).await.expect("it has room");
    }
    let status = in_time(calls.join_next()).await.unwrap().unwrap();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("others need the memory"), "{status}");
    server.stop().await;
}
