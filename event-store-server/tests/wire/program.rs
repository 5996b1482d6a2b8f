//! The real program, and its command line.

use super::process::{PROGRAM, Process};
use super::support::*;
use std::io::Read as _;
use std::process::{Command, Stdio};

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
