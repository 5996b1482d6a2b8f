//! Garbage on the wire: requests with bytes changed, cut off, doubled or made up get a status, and nothing panics.

use super::support::*;
use bytes::{Buf, BufMut};
use campaign::Rng;
use prost::Message as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

static PANICS: AtomicUsize = AtomicUsize::new(0);

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
        let (method, messages) = &valid[run.rng.usize(..valid.len())];
        let messages = messages.iter().map(|message| mangled(message, &mut run.rng)).collect::<Vec<_>>();
        let path = format!("/event_store.client.streams.Streams/{method}");
        grpc.ready().await.unwrap();
        let request = Request::new(tokio_stream::iter(messages));
        let answers = grpc.streaming(request, PathAndQuery::try_from(path).unwrap(), Bytes).await;
        // A subscription that the garbage happens to ask for never ends by itself.
        if let Ok(answers) = answers {
            let mut answers = answers.into_inner();
            let all = async { while let Ok(Some(_)) = answers.message().await {} };
            let _ = tokio::time::timeout(Duration::from_millis(20), all).await;
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
    let _ = tokio::time::timeout(Duration::from_millis(20), tcp.read_to_end(&mut bytes)).await;
}

/// One of each kind of request, by method.
fn valid_requests() -> Vec<(&'static str, Vec<Vec<u8>>)> {
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
    vec![
        ("Read", read(read_options("a"))),
        ("Read", read(all_options())),
        ("Read", read(subscription(all_options()))),
        ("Append", one),
        ("Delete", vec![delete.encode_to_vec()]),
        ("Tombstone", vec![delete.encode_to_vec()]),
        ("BatchAppend", vec![batch.encode_to_vec(), batch.encode_to_vec()]),
    ]
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
