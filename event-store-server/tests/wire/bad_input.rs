//! Requests that make no sense: each gets a clear status, and nobody else is disturbed.

use super::support::*;
use std::time::Duration;
use streams::append_req::{Content as AppendContent, Options as AppendOptions, ProposedMessage};
use streams::read_req::Options;
use streams::read_req::options::filter_options::{Expression, Filter, Window};
use streams::read_req::options::{FilterOption, FilterOptions};
use streams::{AppendReq, ReadReq};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

async fn append_raw(client: &mut Client, contents: Vec<AppendContent>) -> Status {
    let messages = contents.into_iter().map(|content| AppendReq { content: Some(content) });
    client.append(tokio_stream::iter(messages.collect::<Vec<_>>())).await.unwrap_err()
}

fn options(stream: &[u8], expected: Option<Expected>) -> AppendContent {
    AppendContent::Options(AppendOptions {
        stream_identifier: Some(StreamIdentifier { stream_name: stream.to_vec().into() }),
        expected_stream_revision: expected,
    })
}

fn proposed(id: Option<shared::Uuid>, metadata: &[(&str, &str)]) -> AppendContent {
    AppendContent::ProposedMessage(ProposedMessage {
        id,
        metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..ProposedMessage::default()
    })
}

#[tokio::test]
async fn appends_that_make_no_sense_are_refused_and_write_nothing() {
    let (_dir, server, mut client) = fresh().await;
    let good = [("type", "T"), ("content-type", "application/json")];
    let long = "x".repeat(5_000);
    let text_id =
        |text: &str| Some(shared::Uuid { value: Some(shared::uuid::Value::String(text.to_owned())) });
    let cases: Vec<Vec<AppendContent>> = vec![
        vec![proposed(Some(wire_id(1)), &good)],
        vec![options(b"a", Some(any())), options(b"a", Some(any()))],
        vec![options(b"a", None)],
        vec![options(b"a", Some(exact(u64::MAX)))],
        vec![options(b"", Some(any()))],
        vec![options(b"$$", Some(any()))],
        vec![options(b"$all", Some(any()))],
        vec![options(b"\xff\xfe", Some(any()))],
        vec![options(long.as_bytes(), Some(any()))],
        vec![options(b"a", Some(any())), proposed(None, &good)],
        vec![options(b"a", Some(any())), proposed(text_id("not an id"), &good)],
        vec![options(b"a", Some(any())), proposed(Some(wire_id(0)), &good)],
        vec![options(b"a", Some(any())), proposed(Some(wire_id(1)), &[("type", ""), good[1]])],
        vec![options(b"a", Some(any())), proposed(Some(wire_id(1)), &[("type", &long), good[1]])],
    ];
    for case in cases {
        let shown = format!("{case:?}");
        let status = append_raw(&mut client, case).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{shown}: {status}");
        assert!(!status.message().is_empty());
    }
    for incomplete in [&good[..1], &good[1..]] {
        let case = vec![options(b"a", Some(any())), proposed(Some(wire_id(1)), incomplete)];
        let status = append_raw(&mut client, case).await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.metadata().get("exception").unwrap(), "missing-required-metadata-property");
    }
    let none = client.append(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
    let empty = client.append(tokio_stream::iter([AppendReq { content: None }])).await.unwrap_err();
    assert_eq!(empty.code(), Code::InvalidArgument);
    assert_eq!(read(&mut client, all_options()).await.unwrap(), []);
    server.stop().await;
}

#[tokio::test]
async fn what_was_sent_is_repeated_only_as_far_as_a_header_has_room_and_the_connection_lives_on() {
    let (_dir, server, mut client) = fresh().await;
    let mut subscribed = open(&mut client, subscription(all_options())).await.unwrap();
    let id = Some(shared::Uuid { value: Some(shared::uuid::Value::String("도서".repeat(20_000))) });
    let good = [("type", "T"), ("content-type", "application/json")];
    let status = append_raw(&mut client, vec![options(b"a", Some(any())), proposed(id, &good)]).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let said = status.message();
    assert!(said.starts_with("'도서") && said.ends_with("도서' is not a UUID."), "{said}");
    assert!(said.len() < 2_000, "{said}");

    let unknown = format!("/{}.Unknown/Call", "x".repeat(10_000));
    let mut other = tonic::client::Grpc::new(server.channel().await);
    other.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Empty, Empty>::default();
    let path = PathAndQuery::try_from(unknown).unwrap();
    let status = other.unary(Request::new(Empty {}), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status}");
    assert!(status.message().len() < 2_000, "{status}");

    // Each byte of such a name takes three in a header.
    let stream = "도".repeat(1_300);
    append(&mut client, &stream, any(), events([1])).await.unwrap();
    super::delete::tombstone(&mut client, &stream, None).await.unwrap();
    let status = append(&mut client, &stream, any(), events([2])).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().len() < 2_000, "{status}");

    let mut answers = Vec::new();
    while !answers.iter().any(|answer| matches!(answer, Content::Event(_))) {
        let answer = next(&mut subscribed).await.expect("the connection lives on");
        answers.push(answer.expect("the subscription goes on"));
    }
    server.stop().await;
}

#[tokio::test]
async fn reads_that_make_no_sense_are_refused() {
    let (_dir, server, mut client) = fresh().await;
    let filter = |expression, window, multiplier| {
        Some(FilterOption::Filter(FilterOptions {
            filter: expression,
            window,
            checkpoint_interval_multiplier: multiplier,
        }))
    };
    let by_type = |regex: &str| Some(Filter::EventType(Expression { regex: regex.into(), prefix: vec![] }));
    let prefixes = |count: usize| {
        let prefix = (0..count).map(|number| format!("a-name-that-begins-so-{number:08}")).collect();
        Some(Filter::StreamIdentifier(Expression { regex: String::new(), prefix }))
    };
    let ten = Some(Window::Max(10));
    let cases: Vec<Option<Options>> = vec![
        None,
        Some(Options { stream_option: None, ..all_options() }),
        Some(Options { count_option: None, ..all_options() }),
        Some(Options { filter_option: None, ..all_options() }),
        Some(Options { uuid_option: None, ..all_options() }),
        Some(Options { read_direction: 7, ..all_options() }),
        Some(subscription(Options { read_direction: 1, ..all_options() })),
        Some(Options { filter_option: filter(by_type("x"), ten, 1), ..read_options("a") }),
        Some(Options { filter_option: filter(None, ten, 1), ..all_options() }),
        Some(Options { filter_option: filter(by_type("x"), None, 1), ..all_options() }),
        Some(Options { filter_option: filter(by_type("x"), Some(Window::Max(0)), 1), ..all_options() }),
        Some(subscription(Options { filter_option: filter(by_type("x"), ten, 0), ..all_options() })),
        Some(Options { filter_option: filter(by_type("("), ten, 1), ..all_options() }),
        Some(Options { filter_option: filter(by_type("(?=x)"), ten, 1), ..all_options() }),
        Some(Options {
            filter_option: filter(by_type(&format!("{}(", "도".repeat(1_364))), ten, 1),
            ..all_options()
        }),
        Some(Options { filter_option: filter(by_type(&"x".repeat(4_097)), ten, 1), ..all_options() }),
        Some(Options { filter_option: filter(by_type(r"\w{50}"), ten, 1), ..all_options() }),
        Some(Options { filter_option: filter(by_type("((a{100}){100}){100}"), ten, 1), ..all_options() }),
        Some(Options { filter_option: filter(prefixes(1_100), ten, 1), ..all_options() }),
        Some(subscription(Options { filter_option: filter(prefixes(2_500), ten, 1), ..all_options() })),
        Some(read_options("")),
        Some(subscription(read_options("$all"))),
    ];
    for case in cases {
        let shown = format!("{case:?}");
        let status = match client.read(ReadReq { options: case }).await {
            Err(status) => status,
            Ok(answers) => next(&mut answers.into_inner()).await.unwrap_err(),
        };
        assert_eq!(status.code(), Code::InvalidArgument, "{shown}: {status}");
    }
    let large = Options { filter_option: filter(prefixes(5_000), ten, 1), ..all_options() };
    let status = open(&mut client, large).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");

    append(&mut client, "a-name-that-begins-so-00000777-and-goes-on", any(), events([1])).await.unwrap();
    append(&mut client, "a-name-that-begins-so-00001000", any(), events([2])).await.unwrap();
    let many = Options { filter_option: filter(prefixes(1_000), ten, 1), ..all_options() };
    assert_eq!(ids(&read(&mut client, many).await.unwrap()), [1], "so many are allowed");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_supported_says_so() {
    let (_dir, server, _) = fresh().await;
    let mut other = tonic::client::Grpc::new(server.channel().await);
    for call in [
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Create",
        "/event_store.client.projections.Projections/Create",
        "/event_store.client.users.Users/Create",
    ] {
        other.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<Empty, Empty>::default();
        let path = PathAndQuery::from_static(call);
        let status = other.unary(Request::new(Empty {}), path, codec).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{status}");
        assert!(status.message().contains("not supported"), "{status}");
    }
    server.stop().await;
}

#[tokio::test]
async fn there_are_no_persistent_subscriptions_to_list() {
    let (_dir, server, _) = fresh().await;
    let mut other = tonic::client::Grpc::new(server.channel().await);
    other.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Empty, Empty>::default();
    let list = "/event_store.client.persistent_subscriptions.PersistentSubscriptions/List";
    let path = PathAndQuery::from_static(list);
    let answer = other.unary(Request::new(Empty {}), path, codec).await.unwrap();
    assert_eq!(answer.into_inner(), Empty {});
    server.stop().await;
}

#[tokio::test]
async fn a_message_of_17_mib_is_refused_and_the_connection_lives_on() {
    let (_dir, server, mut client) = fresh().await;
    let huge = Event { data: vec![b'x'; 17 << 20], ..event(1) };
    let status = append(&mut client, "a", any(), vec![huge]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let large = Event { data: vec![b'x'; 15 << 20], ..event(1) };
    append(&mut client, "a", any(), vec![large]).await.unwrap();
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), [1]);
    server.stop().await;
}

#[tokio::test]
async fn appends_that_never_end_cannot_fill_the_memory() {
    let limits = event_store_server::Limits { max_pending_bytes: 1 << 20, ..Default::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let large = Event { data: vec![b'x'; 900 << 10], ..event(1) };
    let refused = async {
        loop {
            let (sender, unfinished) = tokio::sync::mpsc::channel(8);
            let mut holder = client.clone();
            let held = tokio::spawn(async move {
                holder.append(tokio_stream::wrappers::ReceiverStream::new(unfinished)).await
            });
            for message in append_messages("a", any(), vec![large.clone()]) {
                sender.send(message).await.unwrap();
            }
            // Either of the two can be the one that comes too late: begin again if it was the unfinished one.
            while !held.is_finished() {
                let second = Event { id: 2, ..large.clone() };
                if let Err(status) = append(&mut client, "b", any(), vec![second]).await {
                    return (status, sender, held);
                }
            }
        }
    };
    let (status, sender, held) = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "Server Is Too Busy"));
    append(&mut client, "c", any(), events([3])).await.unwrap();
    drop(sender);
    held.await.unwrap().unwrap();
    append(&mut client, "d", any(), vec![Event { id: 4, ..large }]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn an_append_that_falls_silent_halfway_is_given_up_and_holds_nothing_any_more() {
    let limits = event_store_server::Limits {
        max_pending_bytes: 1 << 20,
        write_timeout: Duration::from_millis(500),
        ..Default::default()
    };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let large = |id| vec![Event { data: vec![b'x'; 900 << 10], ..event(id) }];
    let (sender, unfinished) = tokio::sync::mpsc::channel(8);
    for message in append_messages("a", any(), large(1)) {
        sender.send(message).await.unwrap();
    }
    let given_up = client.append(tokio_stream::wrappers::ReceiverStream::new(unfinished));
    let status = tokio::time::timeout(PATIENCE, given_up).await.expect("it is given up").unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");

    // A disk that stalls may keep one of these from being committed in time, too.
    let appended = async { while append(&mut client, "b", any(), large(2)).await.is_err() {} };
    tokio::time::timeout(PATIENCE, appended).await.unwrap();
    assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()), [2]);
    drop(sender);
    server.stop().await;
}

#[tokio::test]
async fn events_that_say_nothing_cannot_fill_the_memory_either() {
    let limits = event_store_server::Limits { max_pending_bytes: 64 << 10, ..Default::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    // 15 bytes each, by what they say.
    let empty = |id| Event { data: Vec::new(), ..typed(id, "T") };
    let status = append(&mut client, "a", any(), (1..=1_000).map(empty).collect()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "Server Is Too Busy"));
    append(&mut client, "a", any(), (1..=100).map(empty).collect()).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn an_append_that_its_caller_gives_up_halfway_is_not_written() {
    let limits = event_store_server::Limits { max_pending_bytes: 1 << 20, ..Default::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let large = |id| Event { data: vec![b'x'; 900 << 10], ..event(id) };
    let (sender, unfinished) = tokio::sync::mpsc::channel(8);
    for message in append_messages("a", any(), vec![large(1)]) {
        sender.send(message).await.unwrap();
    }
    let mut request = Request::new(tokio_stream::wrappers::ReceiverStream::new(unfinished));
    request.set_timeout(Duration::from_millis(200));
    let status = client.append(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status}");

    // What it held is free again once the server has given it up too.
    let given_up = async { while append(&mut client, "b", any(), vec![large(2)]).await.is_err() {} };
    tokio::time::timeout(PATIENCE, given_up).await.unwrap();
    drop(sender);
    assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()), [2]);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_said_to_the_end_is_closed() {
    let limits = event_store_server::Limits { silence: Duration::from_millis(300), ..Default::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    for beginning in ["", "PRI * HTTP/2.0\r\n", "GET /livez HTTP/1.1\r\nHost: "] {
        let mut silent = tokio::net::TcpStream::connect(server.addr).await.unwrap();
        silent.write_all(beginning.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{beginning:?} is waited for without end");
    }
    append(&mut client, "a", any(), events([1]))
        .await
        .expect("a client that has spoken may be silent for longer");
    server.stop().await;
}
