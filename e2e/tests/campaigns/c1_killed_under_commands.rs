//! Command APIs and event store killed (kill -9) under writers that repeat themselves: no acknowledged command is lost or doubled.

use super::writers::Writers;
use campaign::Rng;
use e2e::Topology;
use std::time::Duration;

/// So many faults in one run.
const FAULTS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_command_is_lost_or_doubled_whatever_is_killed() {
    for mut run in campaign::runs("C1", 2) {
        let mut topology = Topology::hurried().await;
        let writers = Writers::begin(&topology, &mut run).await;
        for _ in 0..FAULTS {
            writers.book(run.rng.usize(1..150)).await;
            tokio::time::sleep(Duration::from_micros(run.rng.u64(0..2_000))).await;
            fault(&mut topology, &mut run.rng).await;
        }
        writers.book(50).await;
        writers.are_kept_their_word().await;
    }
}

/// One thing or several die at once, and come back.
async fn fault(topology: &mut Topology, rng: &mut Rng) {
    match rng.u8(0..6) {
        0 => {
            topology.event_store.kill();
            topology.event_store.start_again().await;
        }
        1 => {
            let desk = rng.usize(0..2);
            topology.command_apis[desk].kill();
            topology.command_apis[desk].start_again().await;
        }
        2 => {
            for desk in &mut topology.command_apis {
                desk.kill();
            }
            topology.event_store.kill();
            topology.event_store.start_again().await;
            for desk in &mut topology.command_apis {
                desk.start_again().await;
            }
        }
        3 => {
            // Its answers come too late, or never: nobody knows what became of what was sent.
            topology.event_store.freeze().await;
            tokio::time::sleep(Duration::from_millis(rng.u64(0..1_500))).await;
            if rng.bool() {
                topology.event_store.kill();
                topology.event_store.start_again().await;
            } else {
                topology.event_store.thaw();
            }
        }
        4 => {
            // It goes on for a moment: who waited for the first of a book's commands hears it, and the next one is sent, to be
            // answered when its client has been told to ask again, and before it is given up.
            for _ in 0..2 {
                topology.event_store.freeze().await;
                tokio::time::sleep(Duration::from_millis(rng.u64(350..650))).await;
                topology.event_store.thaw();
                tokio::time::sleep(Duration::from_micros(rng.u64(0..5_000))).await;
            }
        }
        _ => {
            let desk = rng.usize(0..2);
            topology.command_apis[desk].freeze().await;
            tokio::time::sleep(Duration::from_millis(rng.u64(0..500))).await;
            topology.command_apis[desk].kill();
            topology.command_apis[desk].start_again().await;
        }
    }
}
