//! A running server, a client of it, and short words for what tests say often.

use event_store_server::{Config, EventStoreServer, Limits, OpenError, ServeError};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use uuid::Uuid;

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::wildcard_enum_match_arm,
    reason = "generated"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/client/protocol.rs"));
}

pub(crate) use generated::event_store::client as shared;
pub(crate) use generated::event_store::client::{gossip, server_features, streams};
pub(crate) use shared::{Empty, StreamIdentifier};
pub(crate) use streams::append_req::options::ExpectedStreamRevision as Expected;
pub(crate) use streams::read_resp::Content;
use streams::streams_client::StreamsClient;

/// How long a test waits for something that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Client = StreamsClient<Channel>;

/// A server in this process, on a free port.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::start_with(dir, Limits::default()).await
    }

    pub(crate) async fn start_with(dir: &Path, limits: Limits) -> Self {
        let config = Config { limits, ..Config::new(dir) };
        // A process that another test starts holds whatever is locked here, between its fork and its exec.
        let deadline = Instant::now() + PATIENCE;
        let server = loop {
            match EventStoreServer::open(config.clone()) {
                Err(OpenError::Locked(_)) if Instant::now() < deadline => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.serve(listener, shutdown.clone()));
        Self { addr, shutdown, task }
    }

    pub(crate) async fn channel(&self) -> Channel {
        channel(self.addr).await
    }

    pub(crate) async fn client(&self) -> Client {
        client(self.addr).await
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap().unwrap();
    }
}

/// A server with a directory of its own, and a client of it.
pub(crate) async fn fresh() -> (TempDir, Server, Client) {
    fresh_with(Limits::default()).await
}

pub(crate) async fn fresh_with(limits: Limits) -> (TempDir, Server, Client) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), limits).await;
    let client = server.client().await;
    (dir, server, client)
}

pub(crate) async fn channel(addr: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap()
}

pub(crate) async fn client(addr: SocketAddr) -> Client {
    StreamsClient::new(channel(addr).await)
        .max_decoding_message_size(64 << 20)
        .max_encoding_message_size(64 << 20)
}

/// An event to append, with a number for its id and its data.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: u128,
    pub(crate) event_type: String,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn event(id: u128) -> Event {
    Event { id, event_type: "Happened".into(), data: format!("{{\"n\":{id}}}").into_bytes() }
}

pub(crate) fn typed(id: u128, event_type: &str) -> Event {
    Event { event_type: event_type.into(), ..event(id) }
}

pub(crate) fn events(ids: impl IntoIterator<Item = u128>) -> Vec<Event> {
    ids.into_iter().map(event).collect()
}

pub(crate) fn identifier(stream: &str) -> StreamIdentifier {
    StreamIdentifier { stream_name: stream.as_bytes().to_vec().into() }
}

pub(crate) fn wire_id(id: u128) -> shared::Uuid {
    shared::Uuid { value: Some(shared::uuid::Value::String(Uuid::from_u128(id).to_string())) }
}

pub(crate) fn any() -> Expected {
    Expected::Any(Empty {})
}

pub(crate) fn no_stream() -> Expected {
    Expected::NoStream(Empty {})
}

pub(crate) fn stream_exists() -> Expected {
    Expected::StreamExists(Empty {})
}

pub(crate) fn exact(revision: u64) -> Expected {
    Expected::Revision(revision)
}

pub(crate) fn append_messages(
    stream: &str,
    expected: Expected,
    events: Vec<Event>,
) -> Vec<streams::AppendReq> {
    use streams::append_req::{Content, Options, ProposedMessage};
    let options =
        Options { stream_identifier: Some(identifier(stream)), expected_stream_revision: Some(expected) };
    let proposed = events.into_iter().map(|event| {
        Content::ProposedMessage(ProposedMessage {
            id: Some(wire_id(event.id)),
            metadata: [
                ("type".to_owned(), event.event_type),
                ("content-type".to_owned(), "application/json".to_owned()),
            ]
            .into(),
            custom_metadata: "{\"by\":\"test\"}".into(),
            data: event.data.into(),
        })
    });
    std::iter::once(Content::Options(options))
        .chain(proposed)
        .map(|content| streams::AppendReq { content: Some(content) })
        .collect()
}

/// The answer of an append, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Revision and position.
    Written(Option<u64>, Option<u64>),
    /// The current revision.
    Wrong(Option<u64>),
}

impl Answer {
    pub(crate) fn position(self) -> u64 {
        match self {
            Self::Written(_, Some(position)) => position,
            Self::Written(_, None) | Self::Wrong(_) => panic!("nothing was written: {self:?}"),
        }
    }
}

/// An event of the metadata of a stream.
pub(crate) fn metadata(id: u128, json: &str) -> Vec<Event> {
    vec![Event { data: json.as_bytes().to_vec(), ..typed(id, "$metadata") }]
}

pub(crate) async fn append(
    client: &mut Client,
    stream: &str,
    expected: Expected,
    events: Vec<Event>,
) -> Result<Answer, Status> {
    use streams::append_resp::success::{CurrentRevisionOption, PositionOption};
    use streams::append_resp::{Result, wrong_expected_version};
    let messages = append_messages(stream, expected, events);
    let answer = client.append(tokio_stream::iter(messages)).await?.into_inner();
    Ok(match answer.result.unwrap() {
        Result::Success(success) => Answer::Written(
            match success.current_revision_option.unwrap() {
                CurrentRevisionOption::CurrentRevision(revision) => Some(revision),
                CurrentRevisionOption::NoStream(_) => None,
            },
            match success.position_option.unwrap() {
                PositionOption::Position(position) => {
                    assert_eq!(position.commit_position, position.prepare_position);
                    Some(position.commit_position)
                }
                PositionOption::NoPosition(_) => None,
            },
        ),
        Result::WrongExpectedVersion(wrong) => Answer::Wrong(match wrong.current_revision_option.unwrap() {
            wrong_expected_version::CurrentRevisionOption::CurrentRevision(revision) => Some(revision),
            wrong_expected_version::CurrentRevisionOption::CurrentNoStream(_) => None,
        }),
    })
}

/// A request to read, to be changed where a test wants something else: a stream, all of it, forwards.
pub(crate) fn read_options(stream: &str) -> streams::read_req::Options {
    use streams::read_req::options::stream_options::RevisionOption;
    use streams::read_req::options::{
        ControlOption, CountOption, FilterOption, StreamOption, StreamOptions, UuidOption, uuid_option,
    };
    streams::read_req::Options {
        stream_option: Some(StreamOption::Stream(StreamOptions {
            stream_identifier: Some(identifier(stream)),
            revision_option: Some(RevisionOption::Start(Empty {})),
        })),
        read_direction: 0,
        resolve_links: false,
        count_option: Some(CountOption::Count(u64::MAX)),
        filter_option: Some(FilterOption::NoFilter(Empty {})),
        uuid_option: Some(UuidOption { content: Some(uuid_option::Content::String(Empty {})) }),
        control_option: Some(ControlOption { compatibility: 1 }),
    }
}

/// The same for `$all`.
pub(crate) fn all_options() -> streams::read_req::Options {
    use streams::read_req::options::all_options::AllOption;
    use streams::read_req::options::{AllOptions, StreamOption};
    streams::read_req::Options {
        stream_option: Some(StreamOption::All(AllOptions { all_option: Some(AllOption::Start(Empty {})) })),
        control_option: None,
        ..read_options("")
    }
}

/// The same backwards, from the last event on.
pub(crate) fn backwards_from_the_end() -> streams::read_req::Options {
    use streams::read_req::options::all_options::AllOption;
    use streams::read_req::options::{AllOptions, StreamOption};
    let stream_option = StreamOption::All(AllOptions { all_option: Some(AllOption::End(Empty {})) });
    streams::read_req::Options { stream_option: Some(stream_option), read_direction: 1, ..all_options() }
}

/// A stream backwards, from its last event on.
pub(crate) fn stream_backwards(stream: &str) -> streams::read_req::Options {
    use streams::read_req::options::stream_options::RevisionOption;
    use streams::read_req::options::{StreamOption, StreamOptions};
    let stream_option = StreamOption::Stream(StreamOptions {
        stream_identifier: Some(identifier(stream)),
        revision_option: Some(RevisionOption::End(Empty {})),
    });
    streams::read_req::Options {
        stream_option: Some(stream_option),
        read_direction: 1,
        ..read_options(stream)
    }
}

/// The same as a subscription.
pub(crate) fn subscription(options: streams::read_req::Options) -> streams::read_req::Options {
    use streams::read_req::options::{CountOption, SubscriptionOptions};
    streams::read_req::Options {
        count_option: Some(CountOption::Subscription(SubscriptionOptions {})),
        ..options
    }
}

pub(crate) async fn open(
    client: &mut Client,
    options: streams::read_req::Options,
) -> Result<Streaming<streams::ReadResp>, Status> {
    Ok(client.read(streams::ReadReq { options: Some(options) }).await?.into_inner())
}

/// The next answer, which has to come.
pub(crate) async fn next(answers: &mut Streaming<streams::ReadResp>) -> Result<Option<Content>, Status> {
    let answer = tokio::time::timeout(PATIENCE, answers.message()).await.expect("an answer comes")?;
    Ok(answer.map(|answer| answer.content.unwrap()))
}

/// Everything that a read answers, in short.
pub(crate) async fn read(
    client: &mut Client,
    options: streams::read_req::Options,
) -> Result<Vec<Told>, Status> {
    let mut answers = open(client, options).await?;
    let mut all = Vec::new();
    while let Some(content) = next(&mut answers).await? {
        all.push(told(content));
    }
    Ok(all)
}

/// An answer of a read, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Stream, revision, id.
    Event(String, u64, u128),
    NotFound(String),
    First(u64),
    Last(u64),
    Confirmed,
    Checkpoint(u64),
    CaughtUp,
}

pub(crate) fn told(content: Content) -> Told {
    match content {
        Content::Event(read) => {
            let event = read.event.unwrap();
            Told::Event(name(event.stream_identifier), event.stream_revision, id_of(event.id))
        }
        Content::StreamNotFound(missing) => Told::NotFound(name(missing.stream_identifier)),
        Content::FirstStreamPosition(revision) => Told::First(revision),
        Content::LastStreamPosition(revision) => Told::Last(revision),
        Content::Confirmation(confirmation) => {
            assert!(!confirmation.subscription_id.is_empty());
            Told::Confirmed
        }
        Content::Checkpoint(checkpoint) => {
            assert_eq!(checkpoint.commit_position, checkpoint.prepare_position);
            Told::Checkpoint(checkpoint.commit_position)
        }
        Content::CaughtUp(_) => Told::CaughtUp,
        Content::LastAllStreamPosition(_) | Content::FellBehind(_) => panic!("never sent: {content:?}"),
    }
}

/// The ids of the events among the answers.
pub(crate) fn ids(answers: &[Told]) -> Vec<u128> {
    answers
        .iter()
        .filter_map(|answer| match answer {
            Told::Event(_, _, id) => Some(*id),
            Told::NotFound(_)
            | Told::First(_)
            | Told::Last(_)
            | Told::Confirmed
            | Told::Checkpoint(_)
            | Told::CaughtUp => None,
        })
        .collect()
}

pub(crate) fn name(identifier: Option<StreamIdentifier>) -> String {
    String::from_utf8(identifier.unwrap().stream_name.to_vec()).unwrap()
}

pub(crate) fn id_of(id: Option<shared::Uuid>) -> u128 {
    match id.unwrap().value.unwrap() {
        shared::uuid::Value::String(text) => Uuid::parse_str(&text).unwrap().as_u128(),
        shared::uuid::Value::Structured(halves) => Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )
        .as_u128(),
    }
}
