//! Eight clients append to one stream and read it at the same time: the history is linearizable, with one winner for
//! each expected revision.

use super::support::*;
use std::sync::Arc;
use std::time::Instant;

const CLIENTS: u64 = 8;
const CALLS: u64 = 125;

/// A call as its client saw it. The stream only grows, so its length says which state a call saw, and which it left.
#[derive(Debug)]
struct Call {
    began: Instant,
    ended: Instant,
    before: u64,
    after: u64,
    /// What was appended, or what was read.
    ids: Vec<u128>,
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_appends_and_reads_of_a_stream_are_linearizable() {
    for run in campaign::runs("D8", 20) {
        let (_dir, server, mut client) = fresh().await;
        let server = Arc::new(server);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let rng = campaign::Rng::with_seed(run.seed.wrapping_mul(1_000) + number);
                tokio::spawn(work(server.clone(), number, rng))
            })
            .collect();
        let mut history = Vec::new();
        for client in clients {
            history.extend(client.await.unwrap());
        }
        let stream = ids(&read(&mut client, read_options("a")).await.unwrap());
        assert_linearizable(&history, &stream);
    }
}

async fn work(server: Arc<Server>, number: u64, mut rng: campaign::Rng) -> Vec<Call> {
    let mut client = server.client().await;
    let (mut calls, mut known) = (Vec::new(), 0);
    for call in 0..CALLS {
        let began = Instant::now();
        let id = u128::from(1 + number * CALLS + call);
        if rng.u8(..4) == 0 {
            let read = ids(&read(&mut client, read_options("a")).await.unwrap());
            known = read.len() as u64;
            calls.push(Call { began, ended: Instant::now(), before: known, after: known, ids: read });
            continue;
        }
        let expected = if known == 0 { no_stream() } else { exact(known - 1) };
        let answer = append(&mut client, "a", expected, events([id])).await.unwrap();
        let ended = Instant::now();
        match answer {
            Answer::Written(revision, _) => {
                assert_eq!(revision, Some(known), "it was appended where it was expected");
                known += 1;
                calls.push(Call { began, ended, before: known - 1, after: known, ids: vec![id] });
            }
            Answer::Wrong(current) => {
                let length = current.map_or(0, |revision| revision + 1);
                assert_ne!(length, known, "it was refused though the stream was as expected");
                known = length;
                calls.push(Call { began, ended, before: known, after: known, ids: Vec::new() });
            }
        }
    }
    calls
}

/// The lengths that calls saw order them. That order is one of a single machine, if each call saw what was there, and
/// no call saw less than one left that had ended before it began.
fn assert_linearizable(history: &[Call], stream: &[u128]) {
    let mut winners = vec![0; stream.len()];
    for call in history {
        let (before, after) = (usize::try_from(call.before).unwrap(), usize::try_from(call.after).unwrap());
        if before < after {
            winners[before] += 1;
            assert_eq!(call.ids, stream[before..after], "{call:?}");
        } else if !call.ids.is_empty() {
            assert_eq!(call.ids, stream[..after], "a read is a beginning of the stream");
        }
    }
    assert!(winners.iter().all(|winners| *winners == 1), "one winner for each revision: {winners:?}");
    for earlier in history {
        for later in history.iter().filter(|later| earlier.ended < later.began) {
            assert!(earlier.after <= later.before, "{earlier:?} ended before {later:?}");
        }
    }
}
