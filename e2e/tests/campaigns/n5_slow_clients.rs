//! Slow clients on every connection they can get: the gateway drops them, and those who are not slow are served meanwhile.

use e2e::{PATIENCE, PlainTopology, Site};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How many there are of each kind; as a campaign a thousand altogether, at least.
const OF_EACH: usize = 150;
const OF_EACH_AS_A_CAMPAIGN: usize = 334;

/// A byte so often, for ever.
const PACE: Duration = Duration::from_secs(1);

/// How many requests of others are measured.
const HEALTHY: usize = 400;

/// In what somebody is slow.
#[derive(Clone, Copy, Debug)]
enum Slow {
    Head,
    Body,
    Nothing,
}

/// How much longer requests of others may take beside them, of which 99 in a hundred count; and how often that is measured
/// before it counts that they took longer: the machine may have had something else to do.
const TIMES: f64 = 2.0;
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_dropped_and_others_are_served_meanwhile() {
    may_open_many_connections();
    for _ in campaign::runs("N5", 1) {
        let topology = PlainTopology::start().await;
        let gateway = topology.site("gateway");
        let addr = topology.part("gateway")["address"].as_str().unwrap().to_owned();
        let addr: SocketAddr = addr.trim_start_matches("http://").parse().unwrap();
        // The first time everything is cold.
        ninety_ninth(&gateway).await;
        let mut ratios = Vec::new();
        while !ratios.last().is_some_and(|ratio| *ratio <= TIMES) {
            assert!(
                ratios.len() < ROUNDS,
                "p99 beside slow clients is so many times of that alone: {ratios:?}"
            );
            ratios.push(a_round(&gateway, addr).await);
        }
        gateway.warehouse(1, 1).await.json(201);
    }
}

/// What a process may open unless told otherwise is often about a thousand.
fn may_open_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// How many times as long others take beside slow clients, all of whom are dropped.
async fn a_round(gateway: &Site, addr: SocketAddr) -> f64 {
    let of_each = if std::env::var_os(campaign::RUNS).is_some() { OF_EACH_AS_A_CAMPAIGN } else { OF_EACH };
    let alone = ninety_ninth(gateway).await;
    let mut slow = JoinSet::new();
    for kind in [Slow::Head, Slow::Body, Slow::Nothing] {
        for _ in 0..of_each {
            slow.spawn(is_dropped(addr, kind));
        }
    }
    let beside = ninety_ninth(gateway).await;
    let (mut longest, mut dropped) = (Duration::ZERO, 0);
    while let Some(held) = slow.join_next().await {
        longest = longest.max(held.unwrap());
        dropped += 1;
    }
    eprintln!(
        "{dropped} slow clients were dropped, the last after {longest:?}; p99 of others {alone:?} alone, {beside:?} beside them"
    );
    assert_eq!(dropped, of_each * 3);
    beside.as_secs_f64() / alone.as_secs_f64()
}

/// How long it could hold its connection.
async fn is_dropped(addr: SocketAddr, slow: Slow) -> Duration {
    let started = Instant::now();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let begin: &[u8] = match slow {
        Slow::Head => b"POST /books/1/warehousings HTTP/1.1\r\nhost: books\r\nx-slow: ",
        Slow::Body => b"POST /books/1/warehousings HTTP/1.1\r\nhost: books\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{",
        Slow::Nothing => b"",
    };
    stream.write_all(begin).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let dripping = async {
        loop {
            sleep(PACE).await;
            let byte: &[u8] = if matches!(slow, Slow::Nothing) { b"" } else { b" " };
            if writer.write_all(byte).await.is_err() {
                return;
            }
        }
    };
    // An answer (408), an end or a reset: whatever ends it.
    let mut answer = Vec::new();
    let dropped = async {
        tokio::select! {
            read = reader.read_to_end(&mut answer) => drop(read),
            () = dripping => {}
        }
    };
    timeout(PATIENCE * 2, dropped).await.unwrap_or_else(|_| panic!("{slow:?} holds its connection"));
    started.elapsed()
}

/// The duration below which 99 of a hundred requests stay: half of them are commands.
async fn ninety_ninth(gateway: &Site) -> Duration {
    let mut taken = Vec::new();
    for book in 0..HEALTHY / 2 {
        let book = u64::try_from(book).unwrap() % 50 + 1;
        let started = Instant::now();
        gateway.warehouse(book, 1).await.json(201);
        taken.push(started.elapsed());
        let started = Instant::now();
        assert_eq!(gateway.get(&format!("/admins?size=20&page={}", book % 2)).await.status, 200);
        taken.push(started.elapsed());
    }
    taken.sort();
    taken[taken.len() * 99 / 100]
}
