//! Garbage on the wire gets an answer or a status, garbage among the stored events is named, and nothing panics.

use super::support::*;
use bytes::{Buf, BufMut};
use campaign::Rng;
use event_store_server::maintenance;
use prost::Message as _;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::error::Error as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use streams::read_req::options::CountOption;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

static PANICS: AtomicUsize = AtomicUsize::new(0);

const STREAMS: &str = "/event_store.client.streams.Streams/";

/// Of so many changes of stored events, some have to change something.
const ENOUGH: u32 = 100;

/// Messages go out as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        Ok(Some(bytes.to_vec()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_gets_a_status_and_harms_nobody() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
    let (_dir, server, mut healthy) = fresh().await;
    append(&mut healthy, "a", any(), events([1])).await.unwrap();
    let mut grpc = tonic::client::Grpc::new(server.channel().await);
    let valid = valid_requests();
    for mut run in campaign::runs("S5", 3_000) {
        let (path, messages) = &valid[run.rng.usize(..valid.len())];
        let messages = messages.iter().map(|message| mangled(message, &mut run.rng)).collect::<Vec<_>>();
        grpc.ready().await.unwrap();
        let called = tokio::time::timeout(PATIENCE, call(&mut grpc, path, messages.clone())).await;
        if let Err(status) = called.unwrap_or_else(|_| panic!("{path} of {messages:x?} is not answered")) {
            let told = status.source().is_none() && status.code() != Code::Unknown;
            assert!(told && !status.message().is_empty(), "{path} of {messages:x?}: {status:?}");
        }
        if run.seed.is_multiple_of(10) {
            frames_that_are_none(server.addr, &mut run.rng).await;
        }
        assert_eq!(PANICS.load(Ordering::Relaxed), 0);
        if run.seed.is_multiple_of(100) {
            assert_eq!(ids(&read(&mut healthy, read_options("a")).await.unwrap())[0], 1);
        }
    }
    server.stop().await;
}

/// Calls with these messages, and takes the answers to their end. The first one is enough of a subscription, which the garbage
/// may happen to ask for. A failure that the server did not tell is one of the transport, with a source.
async fn call(
    grpc: &mut tonic::client::Grpc<tonic::transport::Channel>,
    path: &str,
    messages: Vec<Vec<u8>>,
) -> Result<(), Status> {
    let subscribes =
        path.ends_with(".Streams/Read") && messages.first().is_some_and(|message| is_subscription(message));
    let request = Request::new(tokio_stream::iter(messages));
    let mut answers =
        grpc.streaming(request, PathAndQuery::try_from(path).unwrap(), Bytes).await?.into_inner();
    while answers.message().await?.is_some() && !subscribes {}
    Ok(())
}

fn is_subscription(message: &[u8]) -> bool {
    let request = streams::ReadReq::decode(message).ok();
    let count = request.and_then(|request| request.options).and_then(|options| options.count_option);
    matches!(count, Some(CountOption::Subscription(_)))
}

/// A greeting as HTTP/2 has it, and then frames with anything in them.
async fn frames_that_are_none(addr: SocketAddr, rng: &mut Rng) {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for _ in 0..rng.usize(1..4) {
        let length = rng.u8(..64);
        bytes.extend([0, 0, length, rng.u8(..12), rng.u8(..), 0, 0, 0, rng.u8(..4)]);
        bytes.extend((0..rng.u8(..=length)).map(|_| rng.u8(..)));
    }
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    // It may be closed before all of it is sent.
    let _ = tcp.write_all(&bytes).await;
    let _ = tcp.shutdown().await;
    let closed = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut bytes)).await;
    assert!(closed.is_ok(), "the connection on which {bytes:x?} came stays open");
}

/// One of each kind of request, by the path of its call.
fn valid_requests() -> Vec<(String, Vec<Vec<u8>>)> {
    let read = |options| vec![streams::ReadReq { options: Some(options) }.encode_to_vec()];
    let append = append_messages("b", any(), events([2, 3]));
    let one = vec![streams::AppendReq::encode_to_vec(&append[0]), append[1].encode_to_vec()];
    let delete = streams::DeleteReq {
        options: Some(streams::delete_req::Options {
            stream_identifier: Some(identifier("c")),
            expected_stream_revision: Some(streams::delete_req::options::ExpectedStreamRevision::Revision(7)),
        }),
    };
    let batch = streams::BatchAppendReq {
        correlation_id: Some(wire_id(9)),
        options: Some(streams::batch_append_req::Options {
            stream_identifier: Some(identifier("d")),
            expected_stream_position: Some(
                streams::batch_append_req::options::ExpectedStreamPosition::StreamPosition(3),
            ),
            deadline_option: None,
        }),
        proposed_messages: Vec::new(),
        is_final: true,
    };
    let of_streams = [
        ("Read", read(read_options("a"))),
        ("Read", read(all_options())),
        ("Read", read(subscription(all_options()))),
        ("Append", one),
        ("Delete", vec![delete.encode_to_vec()]),
        ("Tombstone", vec![delete.encode_to_vec()]),
        ("BatchAppend", vec![batch.encode_to_vec(), batch.encode_to_vec()]),
    ];
    let others = [
        "gossip.Gossip/Read",
        "server_features.ServerFeatures/GetSupportedMethods",
        "persistent_subscriptions.PersistentSubscriptions/List",
        "persistent_subscriptions.PersistentSubscriptions/Create",
    ];
    // What is asked of these has no fields; one that they do not know is nothing to them.
    let unknown_field = b"\x0a\x03abc".to_vec();
    let of_others = others.map(|path| (format!("/event_store.client.{path}"), vec![unknown_field.clone()]));
    let of_streams = of_streams.map(|(method, messages)| (format!("{STREAMS}{method}"), messages));
    of_streams.into_iter().chain(of_others).collect()
}

fn mangled(message: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..rng.usize(0..4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.usize(..bytes.len());
        match rng.u8(..6) {
            0 => bytes[at] ^= 1 << rng.u32(..8),
            1 => bytes[at] = *rng.choice(&[0, 1, 0x7f, 0x80, 0xff]).unwrap_or(&0),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.u8(..)),
            4 => bytes.extend_from_within(at..),
            _ => bytes = (0..rng.usize(..64)).map(|_| rng.u8(..)).collect(),
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_among_the_stored_events_is_named_and_never_delivered() {
    const COLUMNS: [&str; 10] = [
        "position", "stream", "revision", "id", "created", "type", "is_json", "checksum", "data", "metadata",
    ];
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=5)).await.unwrap();
    let reads = [read_options("a"), stream_backwards("a"), all_options(), backwards_from_the_end()];
    let mut intact = Vec::new();
    for options in &reads {
        intact.push(delivered(&mut client, options.clone()).await.0);
    }
    assert!(intact.iter().all(|events| events.len() == 5), "{intact:?}");
    let database = database_that_takes_anything(dir.path());

    let (mut found, mut harmless) = (0u32, 0);
    for mut run in campaign::runs("S5", 500) {
        let (column, at) = (COLUMNS[run.rng.usize(..COLUMNS.len())], run.rng.i64(1..=5));
        let what = mangle(&database, column, at, &mut run.rng);
        let mut whole = true;
        for (options, intact) in reads.iter().zip(&intact) {
            let (delivered, end) = delivered(&mut client, options.clone()).await;
            assert!(delivered.iter().all(|event| intact.contains(event)), "{what}: {delivered:?}");
            let keeps_its_place = !["position", "stream", "revision"].contains(&column);
            let named = format!("of stream 'a' at position {at} is damaged");
            if let Some(status) = end {
                assert_eq!(status.code(), Code::DataLoss, "{what}: {status}");
                assert!(status.message().contains("damaged"), "{what}: {status}");
                assert!(!keeps_its_place || status.message().contains(&named), "{what}: {status}");
                whole = false;
            } else if delivered.len() < intact.len() {
                // Where a stream ends is known by the index alone (ADR 0012).
                assert!(!keeps_its_place && at == 5, "{what}: {delivered:?}");
                whole = false;
            }
        }
        let checked = maintenance::check(dir.path(), &mut |_| {}).unwrap();
        assert_eq!(checked.damage.is_empty(), whole, "{what}: {checked:?}");
        *(if whole { &mut harmless } else { &mut found }) += 1;
        database
            .execute_batch("BEGIN; DELETE FROM events; INSERT INTO events SELECT * FROM intact; COMMIT")
            .unwrap();
    }
    assert!(found > 0 || harmless < ENOUGH, "{harmless} changes hit nothing");
    append(&mut client, "a", exact(4), events([6])).await.unwrap();
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), [1, 2, 3, 4, 5, 6]);
    server.stop().await;
}

/// The events that a read delivers, and the status that it ends with, if it does not end well.
async fn delivered(
    client: &mut Client,
    options: streams::read_req::Options,
) -> (Vec<Content>, Option<Status>) {
    let mut events = Vec::new();
    let mut answers = match open(client, options).await {
        Ok(answers) => answers,
        Err(status) => return (events, Some(status)),
    };
    loop {
        match next(&mut answers).await {
            Ok(Some(content @ Content::Event(_))) => events.push(content),
            Ok(Some(_)) => {}
            Ok(None) => return (events, None),
            Err(status) => return (events, Some(status)),
        }
    }
}

/// The database of a running server, with a copy of the intact events. What kinds of values it takes is known to each
/// connection since it was opened; when a value is read, nobody looks at its kind: as with a damaged file.
fn database_that_takes_anything(dir: &Path) -> Connection {
    let path = dir.join("events.sqlite");
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(replace(sql, 'STRICT', ''), 'NOT NULL', '')
             WHERE name = 'events';",
        )
        .unwrap();
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch("PRAGMA synchronous = OFF; CREATE TEMP TABLE intact AS SELECT * FROM events")
        .unwrap();
    database
}

/// Puts something else into a column of the event at a position; tells what.
fn mangle(database: &Connection, column: &str, at: i64, rng: &mut Rng) -> String {
    let select = format!("SELECT {column} FROM events WHERE position = ?1");
    let stored: Value = database.query_row(&select, [at], |row| row.get(0)).unwrap();
    // A position is always a number.
    let kind = if column == "position" { rng.u8(3..6) } else { rng.u8(..6) };
    let value = match (kind, stored) {
        (0, _) => Value::Null,
        (1, _) => Value::Real(rng.f64()),
        (2, _) => Value::Blob(mangled(b"garbage", rng)),
        (3, Value::Integer(_)) => Value::Integer(rng.i64(..)),
        (_, Value::Integer(number)) => Value::Integer(number ^ (1 << rng.u32(..64))),
        (_, Value::Text(text)) => Value::Blob(mangled(text.as_bytes(), rng)),
        (_, Value::Blob(bytes)) => Value::Blob(mangled(&bytes, rng)),
        (_, other) => other,
    };
    let is_text = column == "type" || rng.bool();
    let new = if is_text && matches!(value, Value::Blob(_)) { "CAST(?1 AS TEXT)" } else { "?1" };
    // Two events in the same place are refused, and nothing is changed.
    let update = format!("UPDATE OR IGNORE events SET {column} = {new} WHERE position = ?2");
    database.execute(&update, (&value, at)).unwrap();
    format!("{column} of event {at} became {value:?} ({new})")
}
