//! The calls that are answered. Each has its own file; this one lists them.

mod append;
mod batch_append;
mod codec;
mod delete;
mod expected_revision;
mod gossip;
mod guard;
mod identifiers;
mod on_its_way;
mod proposal;
mod read;
mod read_options;
mod recorded;
mod responses;
mod server_features;
mod status;
mod subscribe;
mod unsupported;
mod untaken;

pub(crate) use codec::Bounded as Codec;
pub(crate) use on_its_way::counted;
pub(crate) use server_features::COMPATIBLE_WITH;

use crate::config::Limits;
use crate::connection::Peer;
use crate::log::Log;
use crate::memory::Memory;
use crate::protocol::gossip::gossip_server::GossipServer;
use crate::protocol::server_features::server_features_server::ServerFeaturesServer;
use crate::protocol::streams as wire;
use crate::protocol::streams::streams_server::{self, StreamsServer};
use crate::request_body;
use crate::users::Users;
use responses::Responses;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming, async_trait};

/// Every service of this server, and a clear answer for every other one. What is no call goes to `http`.
pub(crate) fn routes(
    log: Log,
    limits: Limits,
    http: axum::Router,
    users: Option<Users>,
    shutdown: CancellationToken,
) -> Routes {
    let id = log.id();
    let pending = Arc::new(Semaphore::new(limits.max_pending_bytes.min(Semaphore::MAX_PERMITS)));
    let unread = Memory::new(limits.max_unread_bytes, limits.silence, status::unread);
    let filters = Memory::new(limits.max_unread_bytes, limits.silence, status::too_many_filters);
    let limits = Arc::new(limits);
    let subscriptions = Arc::default();
    let streams = Streams { log, limits, pending, unread, filters, shutdown, subscriptions };
    let streams = StreamsServer::new(streams)
        .max_decoding_message_size(request_body::MESSAGE)
        .max_encoding_message_size(usize::MAX);
    let mut routes = Routes::new(streams)
        .add_service(GossipServer::new(gossip::Gossip { id }))
        .add_service(ServerFeaturesServer::new(server_features::ServerFeatures));
    let router = routes.axum_router_mut();
    *router = std::mem::take(router)
        .route(unsupported::LIST, axum::routing::post(unsupported::empty_list))
        .fallback(move |request| unsupported::call(request, http.clone()));
    if let Some(users) = users {
        let guard = axum::middleware::from_fn_with_state(users, guard::guard);
        *router = std::mem::take(router).layer(guard);
    }
    routes.prepare()
}

/// The service `Streams`.
#[derive(Clone, Debug)]
struct Streams {
    log: Log,
    limits: Arc<Limits>,
    /// One permit for each byte that appends under way may still hold.
    pending: Arc<Semaphore>,
    /// What was read from the log and is not taken by the clients who asked for it.
    unread: Memory,
    /// What is read by, as long as it is.
    filters: Memory,
    shutdown: CancellationToken,
    /// How many subscriptions there have been.
    subscriptions: Arc<AtomicU64>,
}

#[async_trait]
impl streams_server::Streams for Streams {
    type ReadStream = Responses<wire::ReadResp>;
    type BatchAppendStream = Responses<wire::BatchAppendResp>;

    async fn append(
        &self,
        request: Request<Streaming<wire::AppendReq>>,
    ) -> Result<Response<wire::AppendResp>, Status> {
        append::append(self, request.into_inner()).await.map(Response::new)
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<wire::BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        let unread = self.unread.of(request.extensions().get::<Peer>().map(|peer| &peer.unread));
        Ok(batch_append::batch_append(self, unread, request.into_inner()))
    }

    async fn read(&self, request: Request<wire::ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        let peer = request.extensions().get::<Peer>();
        let unread = self.unread.of(peer.map(|peer| &peer.unread));
        let filters = self.filters.of(peer.map(|peer| &peer.filters));
        let options = read_options::parse(request.into_inner(), &filters)?;
        Ok(match options.extent {
            read_options::Extent::Count(count) => {
                read::read(self, unread, options.source, count, options.form)
            }
            read_options::Extent::Subscription => {
                subscribe::subscribe(self, unread, options.source, options.form)
            }
        })
    }

    async fn delete(&self, request: Request<wire::DeleteReq>) -> Result<Response<wire::DeleteResp>, Status> {
        delete::delete(self, request.into_inner()).await.map(Response::new)
    }

    async fn tombstone(
        &self,
        request: Request<wire::TombstoneReq>,
    ) -> Result<Response<wire::TombstoneResp>, Status> {
        delete::tombstone(self, request.into_inner()).await.map(Response::new)
    }
}
