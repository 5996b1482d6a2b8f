//! The health service: it says of all, and of `bookstock.v1.Books`, what `/readyz` says.

use super::protocol::books_server::SERVICE_NAME;
use service_kit::Health;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// The services that are asked for: the process as a whole, and the one there is.
const SERVICES: [&str; 2] = ["", SERVICE_NAME];

/// A health service that follows `health` until `shutdown`, and then lets go whoever watches.
pub(super) fn following(
    health: Health,
    shutdown: CancellationToken,
) -> HealthServer<impl health_server::Health> {
    let (reporter, service) = health_reporter();
    tokio::spawn(follow(health, reporter, shutdown));
    service
}

async fn follow(health: Health, mut reporter: HealthReporter, shutdown: CancellationToken) {
    let mut told = None;
    let following = async {
        loop {
            let status = if health.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
            if told.replace(status) != Some(status) {
                tell(&reporter, status).await;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    shutdown.run_until_cancelled(following).await;
    tell(&reporter, ServingStatus::NotServing).await;
    for service in SERVICES {
        reporter.clear_service_status(service).await;
    }
}

async fn tell(reporter: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}
