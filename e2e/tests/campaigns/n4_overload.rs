//! Five times as many commands as can be booked come to the gateway, in an open loop: as many are booked as at best, and the rest is turned away.

use super::callers::{at_a_rate, in_turns};
use e2e::{PlainTopology, eventually};
use std::time::Duration;

/// What bounds how much can be booked: so many at once by each of two, and so long for each sync. It is not the processor,
/// which the generator needs, too.
const AT_ONCE: usize = 8;
const SYNC: Duration = Duration::from_millis(40);

/// How often both are measured. The best round counts, so that what else the machine does fails no test.
const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(2);

/// How much more comes than can be booked.
const TIMES: f64 = 5.0;

/// So much of the best there still is of what is booked.
const GOODPUT: f64 = 0.8;

/// So much more memory may each of them take.
const MEMORY_BYTES: u64 = 64 << 20;
const PARTS: [&str; 4] = ["gateway", "command-api-1", "command-api-2", "event-store"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_much_is_booked_as_at_best_and_the_rest_is_turned_away() {
    for mut run in campaign::runs("N4", 1) {
        let settings = [("MAX_IN_FLIGHT", AT_ONCE.to_string()), ("STORE_TIMEOUT_MS", "19000".to_owned())];
        let topology = PlainTopology::start_with(&settings).await;
        let _slow = topology.slow_disk(SYNC).await;
        let site = topology.site("gateway");
        in_turns(&site, 2 * AT_ONCE, SPAN, &mut run.rng).await;
        let before = PARTS.map(|part| topology.peak_memory_bytes(part));
        let mut shares = Vec::new();
        for _ in 0..ROUNDS {
            let best = in_turns(&site, 2 * AT_ONCE, SPAN, &mut run.rng).await;
            let flood = at_a_rate(&site, TIMES * best.goodput(), SPAN, &mut run.rng).await;
            // At best some are turned away, too: the gateway keeps a book's commands together, so that one of the two may
            // have more than its half. Where the disk stood still at best, it was no flood.
            let floods = flood.shed > 2 * best.shed;
            let (best, share) = (best.goodput(), flood.goodput() / best.goodput());
            println!(
                "at best {best:.0}/s; of {TIMES} times that, {share:.2} is booked and {} turned away",
                flood.shed
            );
            shares.push((floods, share));
        }
        for (part, before) in PARTS.into_iter().zip(before) {
            let grown = topology.peak_memory_bytes(part).saturating_sub(before);
            assert!(grown < MEMORY_BYTES, "{part} took {} MiB", grown >> 20);
        }
        is_told_to_be_slow(&topology).await;
        assert!(shares.iter().any(|&(floods, share)| floods && share >= GOODPUT), "{shares:?}");
        site.warehouse(1, 1).await.json(201);
    }
}

/// The store's metrics tell that it is the disk which takes the time.
async fn is_told_to_be_slow(topology: &PlainTopology) {
    let of_each = "sum(rate(event_store_sync_duration_seconds_sum{of=\"log\"}[10s]))
        / sum(rate(event_store_sync_duration_seconds_count{of=\"log\"}[10s]))";
    eventually("each sync is seen to take so long", async || {
        let told = topology.measured(of_each).await?;
        let seconds = told[0]["value"][1].as_str().and_then(|seconds| seconds.parse::<f64>().ok());
        if seconds.is_some_and(|seconds| seconds >= SYNC.as_secs_f64()) {
            Ok(())
        } else {
            Err(told.to_string())
        }
    })
    .await;
}
