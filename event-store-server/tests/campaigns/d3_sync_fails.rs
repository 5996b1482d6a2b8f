//! An fsync fails (strace injects EIO): nothing is acknowledged after it, and a restart finds all that was.

use super::process::{PROGRAM, Process};
use super::support::*;
use std::collections::BTreeMap;
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_fsync_nothing_is_acknowledged_until_a_restart() {
    let (mut runs, mut appended) = (0, 0);
    for run in campaign::runs("D3", 20) {
        runs += 1;
        let dir = tempfile::tempdir().unwrap();
        // A store that is there already, so that the failure comes to an append and not to the making of the file.
        let mut acknowledged = BTreeMap::new();
        let process = Process::start(dir.path());
        append_until_refused(&process, 1, 3, &mut acknowledged).await;
        drop(process);

        let nth = 1 + run.seed % 20;
        let mut strace = failing(&format!("when={nth}+"));
        // It may already fail to open; then it says so, and nothing was acknowledged.
        let Ok(process) = Process::try_start_by(strace.arg(PROGRAM), dir.path()) else { continue };
        let failed = append_until_refused(&process, 1_000, u64::MAX, &mut acknowledged).await;
        assert_eq!(failed.expect("it fails in the end").code(), tonic::Code::Unavailable);
        assert_stopped(&process, &acknowledged).await;
        drop(process);
        assert_all_there(dir.path(), &acknowledged).await;
        appended += 1;
    }
    assert!(2 * appended >= runs, "in {appended} of {runs} runs only the failure came to an append");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_fsync_of_a_fold_nothing_is_acknowledged_and_the_write_ahead_log_stays() {
    for run in campaign::runs("D3", 2) {
        let dir = tempfile::tempdir().unwrap();
        let mut acknowledged = BTreeMap::new();
        let process = Process::start(dir.path());
        append_until_refused(&process, 1, 3, &mut acknowledged).await;
        stop(process);

        // Once only: so it is not a second failure that keeps the server from going on.
        let mut strace = failing(&format!("when={}", 1 + run.seed % 2));
        strace.arg("--trace-path").arg(dir.path().join("events.sqlite"));
        let process = Process::start_by(strace.arg(PROGRAM), dir.path());
        let mut client = client(process.addr).await;
        let mut large_ids = 1_000..;
        let failed = loop {
            let id = large_ids.next().unwrap();
            let large = Event { data: vec![b'x'; 500_000], ..event(id) };
            match append(&mut client, "large", any(), vec![large]).await {
                Ok(answer) => assert_eq!(acknowledged.insert(answer.position(), id), None),
                Err(status) => break status,
            }
        };
        assert_eq!(failed.code(), tonic::Code::Unavailable, "{failed}");
        assert_stopped(&process, &acknowledged).await;
        stop(process);
        let log = std::fs::metadata(dir.path().join("events.sqlite-wal")).unwrap().len();
        assert!(log > 0, "what the disk may have lost is still in the write-ahead log");
        assert_all_there(dir.path(), &acknowledged).await;
    }
}

/// What starts a program whose fsyncs fail.
fn failing(when: &str) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args(["--daemonize", "--follow-forks", "--seccomp-bpf", "--quiet=all", "--output=/dev/null"])
        .arg("--trace=fsync,fdatasync")
        .arg(format!("--inject=fsync,fdatasync:error=EIO:{when}"));
    strace
}

/// Stops it in good order.
fn stop(mut process: Process) {
    let pid = rustix::process::Pid::from_child(&process.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    process.child.wait().unwrap();
    std::mem::forget(process);
}

/// It accepts nothing, says so, and goes on serving what it has. Whoever was told that an append failed finds it not ready,
/// with the first question.
async fn assert_stopped(process: &Process, acknowledged: &BTreeMap<u64, u128>) {
    for path in ["/readyz", "/health/ready"] {
        assert_eq!(process.http(path).await.0, 503, "{path} after the failed append was answered");
    }
    let mut client = client(process.addr).await;
    for id in 100_000..100_020 {
        let refused = append(&mut client, "a", any(), events([id])).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
        assert!(refused.message().contains("restarted"), "{refused}");
    }
    assert_eq!(process.http("/livez").await.0, 200);
    let read = ids(&read(&mut client, all_options()).await.unwrap());
    assert!(read.len() >= acknowledged.len(), "reads go on");
}

/// Appends one after the other; gives the status of the first that is refused.
async fn append_until_refused(
    process: &Process,
    first: u128,
    count: u64,
    acknowledged: &mut BTreeMap<u64, u128>,
) -> Option<tonic::Status> {
    let mut client = client(process.addr).await;
    for id in (first..).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        match append(&mut client, "a", any(), events([id])).await {
            Ok(answer) => assert_eq!(acknowledged.insert(answer.position(), id), None),
            Err(status) => return Some(status),
        }
    }
    None
}

async fn assert_all_there(dir: &std::path::Path, acknowledged: &BTreeMap<u64, u128>) {
    let process = Process::start(dir);
    let mut client = client(process.addr).await;
    let found = ids(&read(&mut client, all_options()).await.unwrap());
    for (position, id) in acknowledged {
        let index = usize::try_from(*position).unwrap() - 1;
        assert_eq!(found.get(index), Some(id), "acknowledged at position {position}");
    }
    append(&mut client, "a", any(), events([999_999])).await.expect("it accepts again");
}
