//! How long what has to come is waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// For so many bytes is waited a second longer: what is large may take longer to come.
const A_SECOND: u64 = 1 << 20;

/// The wait for the end of a request or of a message.
#[derive(Debug)]
pub(super) struct Wait {
    patience: Duration,
    begun: Option<Instant>,
    come: u64,
    until: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, begun: None, come: 0, until: None }
    }

    /// Begins anew.
    pub(super) fn begin(&mut self) {
        (self.begun, self.come, self.until) = (None, 0, None);
    }

    /// So many bytes have come.
    pub(super) fn come(&mut self, bytes: usize) {
        // Nobody has waited for them, else this would have ended: that is not the client's fault.
        if self.until.as_ref().is_some_and(|until| until.is_elapsed() || until.deadline() <= Instant::now()) {
            self.begin();
        }
        self.come += bytes as u64;
    }

    /// Ready when it took too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let due = begun + self.patience + Duration::from_millis(self.come * 1_000 / A_SECOND);
        let until = self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if until.deadline() != due {
            until.as_mut().reset(due);
        }
        until.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn what_is_large_is_waited_for_longer_and_nothing_for_ever() {
        let mut wait = Wait::new(Duration::from_secs(10));
        let begun = Instant::now();
        assert!(poll!(poll_fn(|cx| wait.poll(cx))).is_pending());
        for _ in 0..8 {
            tokio::time::advance(Duration::from_secs(1)).await;
            wait.come(1 << 20);
            assert!(poll!(poll_fn(|cx| wait.poll(cx))).is_pending());
        }
        poll_fn(|cx| wait.poll(cx)).await;
        assert_eq!(begun.elapsed().as_secs(), 10 + 8);

        wait.begin();
        poll_fn(|cx| wait.poll(cx)).await;
        assert_eq!(begun.elapsed().as_secs(), 10 + 8 + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waited_for_is_not_too_late() {
        let mut wait = Wait::new(Duration::from_secs(10));
        assert!(poll!(poll_fn(|cx| wait.poll(cx))).is_pending());
        tokio::time::advance(Duration::from_secs(60)).await;
        wait.come(1);
        assert!(poll!(poll_fn(|cx| wait.poll(cx))).is_pending());
    }
}
