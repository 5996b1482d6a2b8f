//! Whether the database answers, for `/readyz`.

use read_model::Reader;
use service_kit::health::Check;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the database is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// Keeps `check` true to what the database shows, until `shutdown`.
pub(crate) async fn watch(reader: Reader, check: Check, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asking = async {
        loop {
            ticks.tick().await;
            look(&reader, &check).await;
        }
    };
    shutdown.run_until_cancelled(asking).await;
}

/// Asks the database once; the reader bounds how long that takes.
pub(crate) async fn look(reader: &Reader, check: &Check) {
    match reader.ping().await {
        Ok(_) => check.ready(),
        Err(error) => check.not_ready(&error.to_string()),
    }
}
