//! The sockets that the system listens on.

use super::Up;
use service_kit::listen::{Exposure, ListenError, bind};
use tokio::net::TcpListener;

/// All of them, open: whoever connects now is answered as soon as its part is up.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) gateway: TcpListener,
    pub(super) command_api: TcpListener,
    pub(super) grpc: TcpListener,
    pub(super) query_api: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) projector: TcpListener,
    /// `None` if the event store is another process.
    pub(super) event_store: Option<TcpListener>,
}

impl Sockets {
    pub(super) async fn bind(up: &Up, exposure: Exposure) -> Result<Self, ListenError> {
        let event_store = match up.event_store_url {
            None => Some(
                bind("event store", "--event-store", up.event_store, Exposure::unguarded(up.insecure))
                    .await?,
            ),
            Some(_) => None,
        };
        Ok(Self {
            gateway: bind("gateway", "--gateway", up.gateway, exposure).await?,
            command_api: bind("command-api", "--command-api", up.command_api, exposure).await?,
            grpc: bind("gRPC", "--grpc", up.grpc, exposure).await?,
            query_api: bind("query-api", "--query-api", up.query_api, exposure).await?,
            admin: bind("admin", "--admin", up.admin, exposure).await?,
            projector: bind("projector", "--projector", up.projector, exposure).await?,
            event_store,
        })
    }
}
