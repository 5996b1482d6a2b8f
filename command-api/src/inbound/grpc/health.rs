//! The health service: it says of all, and of `bookstock.v1.Books`, what `/readyz` says.

use super::protocol::books_server::SERVICE_NAME;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use service_kit::Health;
use std::time::Duration;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// How often it is looked at for those who watch.
const INTERVAL: Duration = Duration::from_millis(50);

/// The services that are asked for: the process as a whole, and the one there is.
const SERVICES: [&str; 2] = ["", SERVICE_NAME];

/// The service that tells how `health` stands.
pub(super) fn service(health: Health) -> HealthServer<Standing> {
    HealthServer::new(Standing(health)).max_decoding_message_size(super::MESSAGE_LIMIT)
}

/// How a process stands.
pub(super) struct Standing(Health);

#[tonic::async_trait]
impl health_server::Health for Standing {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        known(request.get_ref())?;
        Ok(Response::new(standing(now(&self.0))))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        known(request.get_ref())?;
        let changes = stream::unfold((self.0.clone(), None), |(health, told)| async move {
            while told == Some(now(&health)) {
                tokio::time::sleep(INTERVAL).await;
            }
            let status = now(&health);
            Some((Ok(standing(status)), (health, Some(status))))
        });
        Ok(Response::new(changes.boxed()))
    }
}

fn known(request: &HealthCheckRequest) -> Result<(), Status> {
    let is_known = SERVICES.contains(&request.service.as_str());
    if is_known { Ok(()) } else { Err(Status::not_found("there is no such service here")) }
}

fn now(health: &Health) -> ServingStatus {
    if health.takes_work() { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn standing(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
