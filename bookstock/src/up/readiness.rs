//! When the system as a whole is ready: when every service in it is.

use service_kit::Health;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the services are looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// How often a start that takes long says that it still waits.
const REMINDER: Duration = Duration::from_secs(10);

/// A health with one check for each service, which follows that service's own health from now on.
pub(super) fn of_all<const N: usize>(services: [(&'static str, Health); N]) -> Health {
    let whole = Health::default();
    let services = services.map(|(name, health)| (whole.check(name), health));
    tokio::spawn(async move {
        loop {
            for (check, health) in &services {
                if health.is_ready() {
                    check.ready();
                } else {
                    check.not_ready("one of its own checks does not hold");
                }
            }
            sleep(INTERVAL).await;
        }
    });
    whole
}

/// Waits until every check of `health` holds.
pub(super) async fn reached(health: &Health) {
    let mut told = Instant::now();
    while !health.is_ready() {
        if told.elapsed() > REMINDER {
            told = Instant::now();
            tracing::warn!("still waiting for the services to get ready; /readyz of the gateway names them");
        }
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn the_whole_is_ready_when_all_services_are_and_no_longer() {
        let (commands, queries) = (Health::default(), Health::default());
        let (store, database) = (commands.check("event-store"), queries.check("database"));
        let whole = of_all([("command-api", commands), ("query-api", queries)]);
        store.ready();
        assert!(!whole.is_ready());
        database.ready();
        timeout(Duration::from_secs(60), reached(&whole)).await.unwrap();
        store.not_ready("connection refused");
        let lost = async {
            while whole.is_ready() {
                sleep(INTERVAL).await;
            }
        };
        timeout(Duration::from_secs(60), lost).await.unwrap();
    }
}
