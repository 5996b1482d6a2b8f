//! Pauses between tries: short at first, then twice as long each time, up to a limit.

use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(super) struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pauses {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The length of the pause that is due now.
    pub(super) fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }

    /// Begins with the shortest again.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Pauses, and answers true; or answers false at once if the pause would last beyond `deadline`.
    pub(super) async fn pause_before(&mut self, deadline: Instant) -> bool {
        let pause = self.take();
        let in_time = Instant::now() + pause < deadline;
        if in_time {
            sleep(pause).await;
        }
        in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_a_reset() {
        let ms = Duration::from_millis;
        let mut pauses = Pauses::new(ms(10), ms(35));
        assert_eq!([(); 4].map(|()| pauses.take()), [ms(10), ms(20), ms(35), ms(35)]);
        pauses.reset();
        assert_eq!(pauses.take(), ms(10));
    }
}
