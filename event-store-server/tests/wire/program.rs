//! The real program, and its command line.

use super::process::{PROGRAM, Process};
use super::support::*;
use std::collections::BTreeSet;
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

#[tokio::test]
async fn it_is_configured_by_the_environment_alone() {
    let mut command = Command::new(PROGRAM);
    command
        .env("EVENT_STORE_MEM", "true")
        .env("EVENT_STORE_LISTEN", "127.0.0.1:0")
        .env("EVENT_STORE_MAX_NAME_BYTES", "8");
    let process = Process::start_as_it_is(&mut command);
    let mut client = client(process.addr).await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    let status = append(&mut client, "too long a name", any(), events([2])).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
}

#[test]
fn the_readme_has_each_flag_with_its_environment_variable_and_its_key() {
    let readme = include_str!("../../README.md");
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let settings: Vec<_> = flags
        .filter_map(|line| {
            let (_, variable) = line.split_once("[env: ")?;
            Some((line.split([' ', '[']).next()?, variable.split('=').next()?))
        })
        .collect();
    assert!(settings.len() > 15, "{help}");
    let mut keys = keys();
    for (flag, variable) in settings {
        let row = |line: &&str| line.starts_with('|') && line.contains(&format!("`--{flag}"));
        let row = readme.lines().find(row).unwrap_or_else(|| panic!("--{flag} is not in the README"));
        assert!(row.contains(variable), "{row}");
        assert_eq!(keys.remove(&flag.replace('-', "_")), !row.contains("(no key)"), "{row}");
    }
    assert_eq!(keys, BTreeSet::new(), "keys without a flag");
}

/// The keys that a configuration file may have, as the refusal of another one names them.
fn keys() -> BTreeSet<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no_such_key = 1").unwrap();
    let refused = Command::new(PROGRAM).arg("--config").arg(file.path()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    let (_, known) = said.split_once("expected one of").unwrap_or_else(|| panic!("{said}"));
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
