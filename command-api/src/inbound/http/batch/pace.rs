//! How long a client is waited for that sends a list or reads its results: there are few places for lists, and nobody keeps
//! one by moving a little now and then.

use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

/// How long nothing may move before a client counts as gone.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// How long a client is waited for in all, however it moves: the largest list comes in that time at 19 kB a second.
pub(super) const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What moves in one direction. Once [`SILENCE`] is used up, it has to move this fast on average of the time that was waited
/// for the client, and that is never more than [`LONGEST`].
pub(super) struct Pace {
    slowest_bytes_per_sec: u64,
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// Of a client that may be so slow, and has not been waited for yet.
    pub(super) fn of(slowest_bytes_per_sec: u64) -> Self {
        Self { slowest_bytes_per_sec, bytes: 0, waited: Duration::ZERO }
    }

    /// So many bytes have moved.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// How many bytes have moved so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits for the client's next move, if it comes in time. The time counts also when it is dropped before that.
    pub(super) async fn wait_for<T>(&mut self, next: impl Future<Output = T>) -> Result<T, Elapsed> {
        let patience = self.patience();
        let _waiting = Waiting { since: Instant::now(), total: &mut self.waited };
        timeout(patience, next).await
    }

    fn patience(&self) -> Duration {
        let earned = Duration::from_secs(self.bytes / self.slowest_bytes_per_sec);
        (SILENCE + earned).min(LONGEST).saturating_sub(self.waited).min(SILENCE)
    }
}

/// Adds the time until it is dropped, also with a future that is not waited for any longer.
struct Waiting<'a> {
    since: Instant,
    total: &'a mut Duration,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.total += self.since.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_drips_is_not_waited_for_without_end() {
        let patience = |bytes, waited| {
            Pace { slowest_bytes_per_sec: 256, bytes, waited: Duration::from_secs(waited) }.patience()
        };
        assert_eq!(patience(0, 0), SILENCE);
        assert_eq!(patience(10, 20), Duration::from_secs(10));
        assert_eq!(patience(10, 31), Duration::ZERO);
        // Who moves as fast as lines do has all the patience again, but not for days.
        assert_eq!(patience(1 << 20, 600), SILENCE);
        assert_eq!(patience(64 << 20, 3_590), Duration::from_secs(10));
        assert_eq!(patience(64 << 20, 3_600), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn all_the_time_counts_that_a_client_was_waited_for() {
        let mut pace = Pace::of(1_000);
        let secs = Duration::from_secs;
        assert!(pace.wait_for(tokio::time::sleep(secs(20))).await.is_ok());
        // Something else came first.
        assert!(timeout(secs(5), pace.wait_for(std::future::pending::<()>())).await.is_err());
        assert_eq!(pace.patience(), secs(5));
        pace.moved(7_000);
        assert_eq!((pace.patience(), pace.bytes()), (secs(12), 7_000));
        assert!(pace.wait_for(tokio::time::sleep(secs(13))).await.is_err());
        assert_eq!(pace.patience(), Duration::ZERO);
        // What is there already is taken all the same.
        assert!(pace.wait_for(std::future::ready(())).await.is_ok());
    }
}
