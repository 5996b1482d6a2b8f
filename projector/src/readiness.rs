//! Whether the event store answers, for `/readyz`.

use event_store::EventStore;
use service_kit::health::Check;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the store is asked, and how long it may take.
const PERIOD: Duration = Duration::from_secs(1);

/// Keeps `check` true to what the store shows, until `shutdown`.
pub(crate) async fn watch(store: impl EventStore, check: Check, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asking = async {
        loop {
            ticks.tick().await;
            match tokio::time::timeout(PERIOD, store.ping()).await {
                Ok(Ok(())) => check.ready(),
                Ok(Err(error)) => check.not_ready(&error.to_string()),
                Err(_) => check.not_ready("the event store does not answer within a second"),
            }
        }
    };
    shutdown.run_until_cancelled(asking).await;
}
