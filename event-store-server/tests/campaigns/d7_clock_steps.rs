//! The clock steps back and forth by years (faketime): order and positions stay as they are, no event seems older than the
//! one before it, and nothing ends.

use super::process::{PROGRAM, Process};
use super::support::*;
use std::process::Command;

const DAY_MICROS: i64 = 86_400_000_000;

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
        let (mut created, mut latest, mut latest_by_then) = (Vec::new(), i64::MIN, Vec::new());
        for revision in 0..20_u64 {
            let id = u128::from(revision) + 1;
            let days = run.rng.i64(-20_000..20_000);
            latest = latest.max(days);
            latest_by_then.push(latest);
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
        let today = service_kit::clock::unix_micros() / DAY_MICROS;
        let days: Vec<_> = created.iter().map(|ticks| ticks / 10 / DAY_MICROS - today).collect();
        let late = days.iter().zip(&latest_by_then).all(|(day, latest)| day.abs_diff(*latest) <= 1);
        assert!(late, "each is as late as the clock ever was: {days:?} {latest_by_then:?}");

        // The clock is as it was when it was latest: what was appended since, whatever it said then, is as young.
        std::fs::write(&clock, format!("{latest:+}d")).unwrap();
        append(&mut client, "$$a", any(), metadata(100, r#"{"$maxAge":43200}"#)).await.unwrap();
        let since = latest_by_then.iter().filter(|by_then| **by_then == latest).count();
        let young = ids(&read(&mut client, read_options("a")).await.unwrap());
        assert_eq!(young, heard[heard.len() - since..], "{latest_by_then:?}");
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
