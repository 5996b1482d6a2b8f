//! The real program: its promise of durability under kill -9, and its command line.

use super::support::*;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const PROGRAM: &str = env!("CARGO_BIN_EXE_event-store-server");

/// The server as a process. Dropping it kills it, as `kill -9` does.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(dir)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim_end().strip_prefix("event-store-server listening on ").unwrap();
        Self { addr: addr.parse().unwrap(), child }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_eight_writers_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<u64, u128> = BTreeMap::new();
    let mut last_position = 0;
    for round in 0..5_u128 {
        let process = Process::start(dir.path());
        let count = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..8_u128)
            .map(|writer| {
                let (count, addr) = (count.clone(), process.addr);
                tokio::spawn(async move {
                    let mut client = client(addr).await;
                    let mut mine = Vec::new();
                    for turn in 0.. {
                        let id = 1 + round * 10_000_000 + writer * 1_000_000 + turn;
                        // Two of them share a stream, the others have their own.
                        let stream = format!("s-{}", writer.min(6));
                        match append(&mut client, &stream, any(), events([id])).await {
                            Ok(answer) => mine.push((answer.position(), id)),
                            Err(_) => break,
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    mine
                })
            })
            .collect();
        let enough = async {
            while count.load(Ordering::Relaxed) < 400 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap();
        drop(process);
        for writer in writers {
            for (position, id) in writer.await.unwrap() {
                assert!(position > last_position, "no position is used again");
                assert_eq!(acknowledged.insert(position, id), None, "two events have position {position}");
            }
        }
        last_position = *acknowledged.keys().next_back().unwrap();
    }

    let process = Process::start(dir.path());
    let mut client = client(process.addr).await;
    let mut answers = open(&mut client, all_options()).await.unwrap();
    let mut revisions: BTreeMap<String, u64> = BTreeMap::new();
    let mut found: BTreeMap<u64, u128> = BTreeMap::new();
    while let Some(Content::Event(read)) = next(&mut answers).await.unwrap() {
        let event = read.event.unwrap();
        let expected = revisions.entry(name(event.stream_identifier)).or_default();
        assert_eq!(event.stream_revision, *expected, "revisions have no gap");
        *expected += 1;
        found.insert(event.commit_position, id_of(event.id));
    }
    for (position, id) in &acknowledged {
        assert_eq!(found.get(position), Some(id), "acknowledged at position {position}");
    }
    assert!(
        found.len() - acknowledged.len() <= 8 * 5,
        "at most the appends under way at each kill are unknown"
    );
}

#[tokio::test]
async fn sigterm_stops_the_program_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(dir.path());
    let mut client = client(process.addr).await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    let mut live = open(&mut client, subscription(all_options())).await.unwrap();
    assert_eq!(told(next(&mut live).await.unwrap().unwrap()), Told::Confirmed);

    let pid = rustix::process::Pid::from_child(&process.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = loop {
        if let Err(status) = next(&mut live).await {
            break status;
        }
    };
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    let exit = tokio::task::spawn_blocking(move || process.child.wait().map(|exit| (exit, process)));
    let (exit, process) = tokio::time::timeout(PATIENCE, exit).await.unwrap().unwrap().unwrap();
    assert!(exit.success(), "{exit}");
    std::mem::forget(process);
    let wal = dir.path().join("events.sqlite-wal");
    assert!(!wal.exists(), "the write-ahead log was folded into the database");
}

#[test]
fn a_second_server_on_the_same_directory_is_refused_in_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Process::start(dir.path());
    let second = Command::new(PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(dir.path())
        .env("RUST_LOG", "error")
        .output()
        .unwrap();
    let text = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success());
    assert!(text.contains("in use by another event store server"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(second.stdout.is_empty());
}

#[test]
fn an_address_that_others_can_reach_needs_insecure() {
    let dir = tempfile::tempdir().unwrap();
    let start = |extra: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command
            .args(["--listen", "0.0.0.0:0", "--data"])
            .arg(dir.path())
            .args(extra)
            .env("RUST_LOG", "error");
        command
    };
    let refused = start(&[]).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(text.contains("--insecure"), "{text}");

    let mut allowed = start(&["--insecure"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 30];
    allowed.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    allowed.kill().unwrap();
    allowed.wait().unwrap();
    assert!(first.starts_with(b"event-store-server listening"));
}
