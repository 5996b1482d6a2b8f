//! What an operator does to a store: back it up, restore it, check it, scavenge it, by the commands of the program.

use super::process::{PROGRAM, Process};
use super::support::*;
use std::path::Path;
use std::process::Command;

/// What a command of the program printed, and whether it succeeded.
pub(crate) fn run(arguments: &[&str], data: &Path) -> (bool, String) {
    let output = Command::new(PROGRAM).args(arguments).arg("--data").arg(data).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

async fn everything(process: &Process) -> Vec<Told> {
    read(&mut client(process.addr).await, all_options()).await.unwrap()
}

/// Changes one byte of the data of event 200.
fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(9).position(|bytes| bytes == b"{\"n\":200}").expect("an event's data");
    bytes[at + 5] = b'9';
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_server_is_restored_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (data, backup, restored) = (dir.path().join("a"), dir.path().join("b.sqlite"), dir.path().join("c"));
    let process = Process::start(&data);
    let mut caller = client(process.addr).await;
    append(&mut caller, "a", any(), events(1..=300)).await.unwrap();
    let written = everything(&process).await;
    let to = backup.to_str().unwrap();
    let (succeeded, said) = run(&["backup", "--to", to], &data);
    assert!(succeeded && said.contains("300 events"), "{said}");
    append(&mut caller, "a", any(), events([301])).await.expect("the server goes on");

    let (succeeded, said) = run(&["backup", "--to", to], &data);
    assert!(!succeeded && said.contains("nothing is overwritten"), "{said}");
    let (succeeded, said) = run(&["restore", "--from", to], &restored);
    assert!(succeeded, "{said}");
    assert_eq!(everything(&Process::start(&restored)).await, written);
    let (succeeded, said) = run(&["restore", "--from", to], &restored);
    assert!(!succeeded && said.contains("exists already"), "{said}");

    // What SQLite would take for a part of it, or of the backup.
    for beside in ["events.sqlite-wal", "events.sqlite-shm", "events.sqlite-journal"] {
        let another = dir.path().join(beside);
        std::fs::create_dir(&another).unwrap();
        std::fs::write(another.join(beside), "of another store").unwrap();
        let (succeeded, said) = run(&["restore", "--from", to], &another);
        assert!(!succeeded && said.contains("exists already") && said.contains(beside), "{said}");
        assert!(!another.join("events.sqlite").exists());
    }
    let (data_wal, database) = (data.join("events.sqlite-wal"), data.join("events.sqlite"));
    assert!(data_wal.exists());
    let (succeeded, said) = run(&["restore", "--from", database.to_str().unwrap()], &dir.path().join("d"));
    assert!(!succeeded && said.contains(data_wal.to_str().unwrap()), "{said}");

    for (file, why) in [("nowhere", "there is no backup at"), ("Cargo.toml", "is no store")] {
        let (succeeded, said) = run(&["restore", "--from", file], &dir.path().join("d"));
        assert!(!succeeded && said.contains(why), "{said}");
    }

    damage(&backup);
    let (succeeded, said) = run(&["restore", "--from", to], &dir.path().join("d"));
    assert!(!succeeded && said.contains("checksum"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reads_every_event_and_names_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path());
    append(&mut client(process.addr).await, "a", any(), events(1..=300)).await.unwrap();
    let (succeeded, said) = run(&["check"], dir.path());
    assert!(succeeded && said.contains("300 events in 1 streams, nothing is damaged"), "{said}");
    drop(process);
    // Kill -9 left the events in the write-ahead log; the next start folds them into the file.
    drop(Process::start(dir.path()));
    damage(&dir.path().join("events.sqlite"));
    let (succeeded, said) = run(&["check"], dir.path());
    assert!(!succeeded && said.contains("Event 199 of stream 'a' at position 200 is damaged"), "{said}");
    let (succeeded, said) = run(&["check"], &dir.path().join("nowhere"));
    assert!(!succeeded && said.contains("there is no store"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn scavenge_reclaims_what_no_reader_can_see_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path());
    let mut caller = client(process.addr).await;
    for turn in 0..50 {
        for (number, stream) in
            ["counted", "truncated", "deleted", "tombstoned", "kept", "aged"].iter().enumerate()
        {
            let large = Event { data: vec![b'x'; 4_000], ..event(1 + turn * 10 + number as u128) };
            append(&mut caller, stream, any(), vec![large]).await.unwrap();
        }
    }
    append(&mut caller, "$$counted", any(), metadata(1_001, r#"{"$maxCount":3}"#)).await.unwrap();
    append(&mut caller, "$$truncated", any(), metadata(1_002, r#"{"$tb":48}"#)).await.unwrap();
    super::delete::delete(&mut caller, "deleted", None).await.unwrap();
    super::delete::tombstone(&mut caller, "tombstoned", None).await.unwrap();
    append(&mut caller, "$$aged", any(), metadata(1_003, r#"{"$maxAge":1}"#)).await.unwrap();
    while !ids(&read(&mut caller, read_options("aged")).await.unwrap()).is_empty() {
        tokio::task::yield_now().await;
    }
    let before = visible(&mut caller).await;
    let (succeeded, said) = run(&["scavenge"], dir.path());
    assert!(!succeeded && said.contains("in use by another event store server"), "{said}");
    drop(process);
    let (succeeded, said) = run(&["scavenge"], dir.path());
    // 47 of 50 counted, 48 truncated, 49 deleted, 50 under the tombstone, 49 too old.
    assert!(succeeded && said.contains("243 events were reclaimed, 62 are left"), "{said}");
    let (succeeded, said) = run(&["check"], dir.path());
    assert!(succeeded, "{said}");

    let process = Process::start(dir.path());
    let mut caller = client(process.addr).await;
    assert_eq!(visible(&mut caller).await, before);
    let all = everything(&process).await;
    assert_eq!(all.len(), 62);
    let back = read(&mut caller, backwards_from_the_end()).await.unwrap();
    assert_eq!(back, all.into_iter().rev().collect::<Vec<_>>());
    let answer = append(&mut caller, "deleted", exact(49), events([2_000])).await.unwrap();
    assert_eq!(answer, Answer::Written(Some(50), Some(306)), "numbers and positions go on");
}

/// What readers see of some streams.
async fn visible(caller: &mut Client) -> Vec<Vec<u128>> {
    let mut seen = Vec::new();
    for stream in ["counted", "truncated", "deleted", "kept", "aged", "$$counted"] {
        seen.push(ids(&read(caller, read_options(stream)).await.unwrap()));
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_memory_needs_no_directory() {
    let process = Process::start_without_data(Command::new(PROGRAM).arg("--mem"));
    let mut caller = client(process.addr).await;
    append(&mut caller, "a", any(), events([1, 2])).await.unwrap();
    assert_eq!(ids(&read(&mut caller, read_options("a")).await.unwrap()), [1, 2]);
}

#[test]
fn a_configuration_file_is_taken_and_a_slip_in_it_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.toml");
    std::fs::write(&file, "mem = true\nlisten = \"127.0.0.1:0\"\nmax_evnt_bytes = 5\n").unwrap();
    let start = || {
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(&file).env("RUST_LOG", "off");
        command
    };
    let refused = start().output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("max_evnt_bytes"), "{said}");
    std::fs::write(&file, "mem = true\nlisten = \"127.0.0.1:0\"\n").unwrap();
    drop(Process::start_as_it_is(&mut start()));
}
