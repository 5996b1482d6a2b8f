//! Replies are lost (the caller hangs up, the server is killed): sending the same again stores nothing twice, and the
//! first answer comes.

use super::process::Process;
use super::support::*;
use campaign::Run;
use std::time::Duration;

/// So many runs go to one store, which is killed in some of them.
const STORE_RUNS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_append_sent_again_is_stored_once_and_answered_as_the_first_time() {
    let mut store = None;
    for (number, mut run) in campaign::runs("D9", 200).enumerate() {
        if (number as u64).is_multiple_of(STORE_RUNS) {
            store = None;
        }
        let (dir, mut process) = store.take().unwrap_or_else(|| {
            let dir = tempfile::tempdir().unwrap();
            let process = Process::start(dir.path());
            (dir, process)
        });
        process = append_with_lost_replies(process, dir.path(), &mut run).await;
        store = Some((dir, process));
    }
}

async fn append_with_lost_replies(mut process: Process, dir: &std::path::Path, run: &mut Run) -> Process {
    let stream = format!("s-{}", run.seed);
    let first = u128::from(run.seed) * 1_000;
    let mut revision = None;
    for turn in 0..5 {
        let batch = events((0..run.rng.u128(1..=5)).map(|event| first + turn * 10 + event));
        let expected = || revision.map_or(no_stream(), exact);
        let mut client = client(process.addr).await;
        for _ in 0..run.rng.u32(0..3) {
            // The caller hangs up: nobody knows what became of it.
            let patience = Duration::from_micros(run.rng.u64(0..3_000));
            let _ =
                tokio::time::timeout(patience, append(&mut client, &stream, expected(), batch.clone())).await;
        }
        if run.rng.u8(..50) == 0 {
            drop(process);
            process = Process::start(dir);
            client = self::client(process.addr).await;
        }
        let answer = append(&mut client, &stream, expected(), batch.clone()).await.unwrap();
        for _ in 0..2 {
            assert_eq!(append(&mut client, &stream, expected(), batch.clone()).await.unwrap(), answer);
        }
        if run.rng.bool() {
            // Known by its ids alone, as long as it is recent.
            assert_eq!(append(&mut client, &stream, any(), batch.clone()).await.unwrap(), answer);
        }
        let Answer::Written(Some(last), Some(_)) = answer else { panic!("{answer:?}") };
        let expected_last = revision.map_or(0, |revision| revision + 1) + batch.len() as u64 - 1;
        assert_eq!(last, expected_last, "nothing is there twice");
        revision = Some(last);
        let stored = ids(&read(&mut client, read_options(&stream)).await.unwrap());
        assert_eq!(stored.len() as u64, last + 1);
        let tail: Vec<_> = batch.iter().map(|event| event.id).collect();
        assert_eq!(stored[stored.len() - tail.len()..], tail);
    }
    process
}
