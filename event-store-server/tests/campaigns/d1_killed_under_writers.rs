//! Killed (kill -9) at random times under eight writers: no acknowledged event is lost, doubled or reordered.

use super::process::{PROGRAM, Process};
use super::support::*;
use campaign::Run;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

const WRITERS: u128 = 8;

/// So many appends a kill waits for at most.
const APPENDS: u32 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_eight_writers_loses_nothing_acknowledged() {
    for mut run in campaign::runs("D1", 50) {
        let dir = tempfile::tempdir().unwrap();
        let mut acknowledged = BTreeMap::new();
        let kills = run.rng.u128(1..=3);
        for kill in 0..kills {
            if run.rng.bool() {
                kill_while_it_opens(dir.path(), &mut run).await;
            }
            write_until_killed(dir.path(), kill, &mut acknowledged, &mut run).await;
        }
        assert_all_there(dir.path(), &acknowledged, usize::try_from(kills * WRITERS).unwrap()).await;
    }
}

/// A kill may also come while the last one is being recovered from.
async fn kill_while_it_opens(dir: &Path, run: &mut Run) {
    let mut opening = Command::new(PROGRAM);
    opening.args(["--listen", "127.0.0.1:0", "--data"]).arg(dir).env("RUST_LOG", "off").stdout(Stdio::null());
    let mut opening = opening.spawn().unwrap();
    tokio::time::sleep(Duration::from_micros(run.rng.u64(0..20_000))).await;
    opening.kill().unwrap();
    opening.wait().unwrap();
}

/// Adds what was acknowledged, by position.
async fn write_until_killed(dir: &Path, kill: u128, acknowledged: &mut BTreeMap<u64, u128>, run: &mut Run) {
    let process = Process::start(dir);
    let done = Arc::new(Semaphore::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            tokio::spawn(write(process.addr, 1 + (kill * WRITERS + writer) * 1_000_000, writer, done.clone()))
        })
        .collect();
    let enough = done.acquire_many(run.rng.u32(1..=APPENDS));
    tokio::time::timeout(PATIENCE, enough).await.expect("appends go on").unwrap().forget();
    tokio::time::sleep(Duration::from_micros(run.rng.u64(0..2_000))).await;
    drop(process);
    let before = acknowledged.last_key_value().map_or(0, |(position, _)| *position);
    for writer in writers {
        for (position, id) in writer.await.unwrap() {
            assert!(position > before, "position {position} is used again");
            assert_eq!(acknowledged.insert(position, id), None, "two events have position {position}");
        }
    }
}

/// Appends until the server is gone. Two writers share a stream, the others have their own.
async fn write(addr: SocketAddr, first_id: u128, writer: u128, done: Arc<Semaphore>) -> Vec<(u64, u128)> {
    let mut client = client(addr).await;
    let stream = format!("s-{}", writer.min(WRITERS - 2));
    let mut mine = Vec::new();
    for id in first_id.. {
        match append(&mut client, &stream, any(), events([id])).await {
            Ok(answer) => mine.push((answer.position(), id)),
            Err(_) => break,
        }
        done.add_permits(1);
    }
    mine
}

/// Opens it again. Beside what was acknowledged there may only be the appends that were under way at a kill.
async fn assert_all_there(dir: &Path, acknowledged: &BTreeMap<u64, u128>, under_way: usize) {
    let process = Process::start(dir);
    let mut client = client(process.addr).await;
    let mut answers = open(&mut client, all_options()).await.unwrap();
    let mut next_revisions: BTreeMap<String, u64> = BTreeMap::new();
    let mut found: BTreeMap<u64, u128> = BTreeMap::new();
    while let Some(Content::Event(read)) = next(&mut answers).await.unwrap() {
        let event = read.event.unwrap();
        let expected = next_revisions.entry(name(event.stream_identifier)).or_default();
        assert_eq!(event.stream_revision, *expected, "revisions have no gap");
        *expected += 1;
        found.insert(event.commit_position, id_of(event.id));
    }
    for (position, id) in acknowledged {
        assert_eq!(found.get(position), Some(id), "acknowledged at position {position}");
    }
    let mut ids: Vec<_> = found.values().collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), found.len(), "no event is there twice");
    assert!(found.len() <= acknowledged.len() + under_way, "{} of {}", found.len(), acknowledged.len());
}
