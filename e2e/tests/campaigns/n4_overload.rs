//! Five times as many commands as can be booked, in an open loop: as many are booked as at best, and the rest is turned away.

use super::callers::{at_a_rate, in_turns};
use super::desk::Desk;
use std::time::Duration;

/// What bounds how much can be booked: so many at once, and so long for each sync. It is not the processor, which the
/// generator needs, too.
const AT_ONCE: usize = 16;
const SYNC_MS: u32 = 20;

/// How often both are measured. The best round counts, so that what else the machine does fails no test.
const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(3);

/// How much more comes than can be booked.
const TIMES: f64 = 5.0;

/// So much of the best there still is of what is booked.
const GOODPUT: f64 = 0.8;

const MEMORY_BYTES: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_much_is_booked_as_at_best_and_the_rest_is_turned_away() {
    for mut run in campaign::runs("N4", 1) {
        let desk = Desk::open_on_a_slow_disk(SYNC_MS, &["--max-in-flight", &AT_ONCE.to_string()]).await;
        let site = desk.api.site();
        in_turns(&site, AT_ONCE, SPAN, &mut run.rng).await;
        let before = desk.api.peak_memory_bytes();
        let mut shares = Vec::new();
        for _ in 0..ROUNDS {
            let best = in_turns(&site, AT_ONCE, SPAN, &mut run.rng).await;
            assert_eq!(best.shed, 0);
            let flood = at_a_rate(&site, TIMES * best.goodput(), SPAN, &mut run.rng).await;
            assert!(flood.shed > 0, "nothing was turned away");
            let (best, share) = (best.goodput(), flood.goodput() / best.goodput());
            println!(
                "at best {best:.0}/s; of {TIMES} times that, {share:.2} is booked and {} turned away",
                flood.shed
            );
            shares.push(share);
        }
        let grown = desk.api.peak_memory_bytes().saturating_sub(before);
        assert!(grown < MEMORY_BYTES, "it took {} MiB", grown >> 20);
        assert!(shares.iter().any(|share| *share >= GOODPUT), "{shares:?}");
        site.warehouse(1, 1).await.json(201);
    }
}
