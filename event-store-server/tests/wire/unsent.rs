//! Clients that let much come and take nothing of it from the network.

use super::process::{PROGRAM, Process, peak};
use super::support::*;
use event_store_server::Limits;
use prost::Message as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// What a server may have had in RAM after all that these tests do to it, in bytes.
const MEMORY: u64 = 192 << 20;

/// Frames of HTTP/2, and their flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What may come at most before more is asked for: of a call as a setting, and of the connection.
const MOST: u32 = 0x7fff_ffff;
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
const FIRST_WINDOW: u32 = 65_535;

fn frame(kind: u8, flags: u8, call: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &call.to_be_bytes(), payload].concat()
}

/// A client that speaks HTTP/2 by hand, and reads nothing.
struct Deaf {
    tcp: TcpStream,
    next_call: u32,
}

impl Deaf {
    async fn connect(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let mut tcp = socket.connect(addr).await.unwrap();
        let settings = [&INITIAL_WINDOW_SIZE[..], &MOST.to_be_bytes()].concat();
        let begin = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(SETTINGS, 0, 0, &settings),
            frame(WINDOW_UPDATE, 0, 0, &(MOST - FIRST_WINDOW).to_be_bytes()),
        ];
        tcp.write_all(&begin.concat()).await.unwrap();
        Self { tcp, next_call: 1 }
    }

    /// Asks for the same so many times.
    async fn read(&mut self, options: streams::read_req::Options, times: usize) {
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/event_store.client.streams.Streams/Read"),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        let mut block = Vec::new();
        for (name, value) in headers {
            // As they are: neither taken from a table nor compressed.
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend(text.as_bytes());
            }
        }
        let message = streams::ReadReq { options: Some(options) }.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = [&[0][..], &length, &message].concat();
        let mut sent = Vec::new();
        for _ in 0..times {
            sent.extend(frame(HEADERS, END_HEADERS, self.next_call, &block));
            sent.extend(frame(DATA, END_STREAM, self.next_call, &body));
            self.next_call += 2;
        }
        self.tcp.write_all(&sent).await.unwrap();
    }

    /// Goes on saying something until nobody is there to hear it.
    async fn closed(mut self) {
        while self.tcp.write_all(&frame(PING, 0, 0, &[7; 8])).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it comes")
}

fn large(id: u128, bytes: usize) -> Vec<Event> {
    vec![Event { data: vec![b'x'; bytes], ..event(id) }]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_which_nothing_is_taken_is_closed() {
    let limits = Limits { silence: Duration::from_secs(1), ..Limits::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    for id in 1..=20 {
        append(&mut client, "a", any(), large(id, 500_000)).await.unwrap();
    }
    let mut deaf = Deaf::connect(server.addr).await;
    // More than the system keeps on the way.
    deaf.read(all_options(), 4).await;
    in_time(deaf.closed()).await;
    append(&mut client, "a", any(), events([21])).await.expect("others are still heard");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_takes_no_more_than_all_may_and_makes_room_for_others() {
    let mut command = Command::new(PROGRAM);
    let process = Process::start_without_data(command.args(["--mem", "--max-unread-bytes", "33554432"]));
    let mut client = client(process.addr).await;
    // The whole of a read goes to the connection at once.
    append(&mut client, "a", any(), large(1, 300 << 10)).await.unwrap();
    let mut deaf = JoinSet::new();
    for _ in 0..5 {
        let mut one = Deaf::connect(process.addr).await;
        one.read(read_options("a"), 400).await;
        deaf.spawn(one.closed());
    }
    in_time(deaf.join_next()).await.unwrap().unwrap();
    let read_again = async { while read(&mut client, read_options("a")).await.is_err() {} };
    in_time(read_again).await;
    assert!(peak(&process) < MEMORY, "{} MiB", peak(&process) >> 20);
}
