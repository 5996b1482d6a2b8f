//! Clients that are slow to a service itself, hundreds of them, over HTTP and gRPC: they are cut off, and all others are served as before.

use super::callers::in_turns;
use super::desk::Desk;
use e2e::PATIENCE;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many of each kind there are, and how many who read nothing: the system keeps megabytes for each of those.
const OF_EACH: usize = 100;
const READERS: usize = 20;

const HEALTHY: usize = 4;
const SPAN: Duration = Duration::from_secs(5);

/// How often a slow client sends a byte.
const DRIP: Duration = Duration::from_millis(500);

/// Of what the healthy book while nobody is slow, they book so much at least. A busy machine takes the rest.
const SHARE: f64 = 0.25;

/// How often it is tried.
const TRIES: usize = 3;

const MEMORY_BYTES: u64 = 64 << 20;

/// Of whom no more is taken for so long, the buffers are full.
const STALLED: Duration = Duration::from_secs(1);

const HEAD: &str = "POST /books/1/warehousings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

/// Its answer is a large one.
const QUESTION: &[u8] = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";

/// What is slow.
#[derive(Clone, Copy, Debug)]
enum Slow {
    /// Nothing comes.
    Silence,
    /// The headers come byte by byte.
    Headers,
    /// The body does.
    Body,
    /// Nothing comes where gRPC is spoken.
    SilenceOverGrpc,
    /// The first bytes of HTTP/2 do not all come.
    Preface,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_off_and_the_others_are_served() {
    for mut run in campaign::runs("N6", 1) {
        let desk = Desk::open().await;
        let site = desk.api.site();
        let before = desk.api.peak_memory_bytes();
        // A machine that others burden in between tells nothing: only who never gets a share is starved.
        let mut shares = Vec::new();
        while shares.len() < TRIES && !shares.last().is_some_and(|share| *share >= SHARE) {
            let mut alone = in_turns(&site, HEALTHY, SPAN, &mut run.rng).await;
            let mut slow = slow_clients(&desk).await;
            let count = slow.len();
            let mut among = in_turns(&site, HEALTHY, SPAN, &mut run.rng).await;
            while let Some(cut_off) = slow.join_next().await {
                cut_off.unwrap();
            }
            assert_eq!((alone.shed, among.shed), (0, 0));
            let (share, ratio) = (among.goodput() / alone.goodput(), among.p99_ms() / alone.p99_ms());
            println!("beside {count} slow clients: {share:.2} of the rate, {ratio:.2} times the p99");
            shares.push(share);
        }
        assert!(shares.last().is_some_and(|share| *share >= SHARE), "{shares:?}");
        let grown = desk.api.peak_memory_bytes().saturating_sub(before);
        assert!(grown < MEMORY_BYTES, "it took {} MiB", grown >> 20);
    }
}

/// So many of each kind, each until it is cut off.
async fn slow_clients(desk: &Desk) -> JoinSet<()> {
    let readers: JoinSet<_> = (0..READERS).map(|_| who_reads_nothing(desk.api.addr())).collect();
    let mut slow: JoinSet<()> = readers.join_all().await.into_iter().map(cut_off_unread).collect();
    for _ in 0..OF_EACH {
        for kind in [Slow::Silence, Slow::Headers, Slow::Body, Slow::SilenceOverGrpc, Slow::Preface] {
            let addr = match kind {
                Slow::SilenceOverGrpc | Slow::Preface => desk.grpc,
                Slow::Silence | Slow::Headers | Slow::Body => desk.api.addr(),
            };
            slow.spawn(cut_off(kind, addr));
        }
    }
    slow
}

/// A client who has asked until nothing more is taken, and has read nothing.
async fn who_reads_nothing(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    while let Ok(written) = timeout(STALLED, stream.write_all(QUESTION)).await {
        written.unwrap();
    }
    stream
}

/// Reads nothing until it is cut off.
async fn cut_off_unread(mut stream: TcpStream) {
    let asking = async { while stream.write_all(QUESTION).await.is_ok() {} };
    timeout(PATIENCE, asking).await.expect("who reads nothing is cut off");
}

/// Is slow until it is cut off.
async fn cut_off(kind: Slow, addr: SocketAddr) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let (head, more) = match kind {
        Slow::Silence | Slow::SilenceOverGrpc => (String::new(), ""),
        Slow::Headers => (HEAD.to_owned(), "x"),
        Slow::Body => (format!("{HEAD}content-length: 60000\r\n\r\n"), " "),
        Slow::Preface => ("PRI * HTTP/2.0".to_owned(), ""),
    };
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let dripping = async {
        loop {
            tokio::select! {
                read = stream.read_buf(&mut answer) => if !read.is_ok_and(|bytes| bytes > 0) { return },
                () = tokio::time::sleep(DRIP) => if stream.write_all(more.as_bytes()).await.is_err() { return },
            }
        }
    };
    timeout(PATIENCE, dripping).await.unwrap_or_else(|_| panic!("{kind:?} is not cut off"));
    if matches!(kind, Slow::Body) {
        assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    }
}
