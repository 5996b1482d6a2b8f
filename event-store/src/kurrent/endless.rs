//! A way out of the client's endless loop.
//!
//! When a server ends a subscription with OK, the client asks the ended stream for its next message again and again,
//! inside one poll: no timeout, no cancelling and no other task on that thread ever gets a turn. All that the loop does
//! that the outside can notice is to log a warning each time round. So that is where it is caught: while the client is
//! polled, its log lines come here, and when it has warned too often without getting anywhere, a panic unwinds it.

use futures_util::FutureExt as _;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Warnings in a row that are no longer a few messages which only a newer client understands.
const TOO_MANY: u32 = 1000;

/// Polls the client with its endless loop broken.
pub(super) struct LoopBreaker {
    warnings: Arc<AtomicU32>,
    dispatch: Dispatch,
}

/// The client stopped for a reason it should have told as an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unwound;

impl LoopBreaker {
    pub(super) fn new() -> Self {
        let warnings = Arc::new(AtomicU32::new(0));
        let dispatch = Dispatch::new(WarningCount { warnings: Arc::clone(&warnings) });
        Self { warnings, dispatch }
    }

    /// Awaits `polled`, unless it loops or panics.
    pub(super) async fn await_ending<A>(&self, polled: impl Future<Output = A>) -> Result<A, Unwound> {
        self.warnings.store(0, Ordering::Relaxed);
        // What has been unwound is not used again, so nobody sees it half done.
        AssertUnwindSafe(polled.with_subscriber(self.dispatch.clone()))
            .catch_unwind()
            .await
            .map_err(|_| Unwound)
    }
}

/// Hears the client's warnings and nothing else: why a subscription ended is told by its follower.
struct WarningCount {
    warnings: Arc<AtomicU32>,
}

impl Subscriber for WarningCount {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("eventstore")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, _: &Event<'_>) {
        if self.warnings.fetch_add(1, Ordering::Relaxed) == TOO_MANY {
            // Not `panic!`, which would print a report of a bug that is not ours.
            resume_unwind(Box::new(Unwound));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_poll_that_only_warns_is_unwound_and_the_next_one_starts_afresh() {
        let breaker = LoopBreaker::new();
        let endless = async {
            loop {
                tracing::warn!(target: "eventstore::commands", "Received an unknown subscription message");
            }
        };
        assert_eq!(breaker.await_ending::<()>(endless).await, Err(Unwound));

        let some_warnings = async {
            for _ in 0..TOO_MANY {
                tracing::warn!(target: "eventstore::commands", "Received an unknown subscription message");
            }
        };
        assert_eq!(breaker.await_ending(some_warnings).await, Ok(()));
        assert_eq!(breaker.await_ending(async { 7 }).await, Ok(7));
    }
}
