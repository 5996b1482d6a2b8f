//! `Gossip.Read`: the members of the cluster. There is one, and it leads.

use crate::connection::Peer;
use crate::protocol::gossip::member_info::VNodeState;
use crate::protocol::gossip::{ClusterInfo, EndPoint, MemberInfo, gossip_server};
use crate::protocol::shared::Empty;
use crate::rpc::identifiers;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

/// The service `Gossip`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gossip {
    /// The identity of the store, which is that of its only member.
    pub(super) id: Uuid,
}

#[async_trait]
impl gossip_server::Gossip for Gossip {
    /// Clients dial the address that this answers, so it is the one they have just reached.
    async fn read(&self, request: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        let reached = request
            .extensions()
            .get::<Peer>()
            .and_then(|peer| peer.reached)
            .ok_or_else(|| Status::unavailable("The address of this connection is not known."))?;
        let member = MemberInfo {
            instance_id: Some(identifiers::structured(self.id)),
            time_stamp: service_kit::clock::unix_micros().saturating_mul(10),
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(EndPoint { address: reached.ip().to_string(), port: reached.port().into() }),
        };
        Ok(Response::new(ClusterInfo { members: vec![member] }))
    }
}
