//! The clock steps back and forth by years (faketime): order and positions stay as they are, and nothing ends.

use super::process::{PROGRAM, Process};
use super::support::*;
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_changes_no_order() {
    for mut run in campaign::runs("D7", 20) {
        let dir = tempfile::tempdir().unwrap();
        let clock = dir.path().join("clock");
        std::fs::write(&clock, "+0d").unwrap();
        let mut faked = Command::new(PROGRAM);
        faked
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let process = Process::start_by(&mut faked, &dir.path().join("data"));
        let mut client = client(process.addr).await;
        let mut live = open(&mut client, subscription(all_options())).await.unwrap();
        let mut created = Vec::new();
        for revision in 0..20_u64 {
            let id = u128::from(revision) + 1;
            let days = run.rng.i32(-20_000..20_000);
            std::fs::write(&clock, format!("{days:+}d")).unwrap();
            let answer = append(&mut client, "a", exact_before(revision), events([id])).await.unwrap();
            assert_eq!(answer, Answer::Written(Some(revision), Some(revision + 1)));
            let repeated = append(&mut client, "a", exact_before(revision), events([id])).await.unwrap();
            assert_eq!(repeated, answer);
        }
        let mut heard = Vec::new();
        while heard.len() < 20 {
            if let Content::Event(read) = next(&mut live).await.unwrap().unwrap() {
                let event = read.event.unwrap();
                heard.push(id_of(event.id));
                created.push(event.metadata["created"].parse::<i64>().unwrap());
            }
        }
        assert_eq!(heard, (1..=20).collect::<Vec<_>>());
        assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), heard);
        assert!(created.windows(2).any(|pair| pair[0] > pair[1]), "the clock did step back: {created:?}");
    }
}

fn exact_before(revision: u64) -> Expected {
    revision.checked_sub(1).map_or(no_stream(), exact)
}

/// Where Debian keeps it, whatever the architecture.
fn library() -> std::path::PathBuf {
    let found = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok).find_map(|entry| {
        let library = entry.path().join("faketime/libfaketime.so.1");
        library.exists().then_some(library)
    });
    found.expect("the package libfaketime is installed")
}
