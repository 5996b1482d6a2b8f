//! `ServerFeatures.GetSupportedMethods`: what a client asks before anything else.

use crate::protocol::server_features::{SupportedMethod, SupportedMethods, server_features_server};
use crate::protocol::shared::Empty;
use tonic::{Request, Response, Status, async_trait};

/// The version of EventStoreDB whose behaviour this server has, for what it supports.
pub(crate) const COMPATIBLE_WITH: &str = "24.10.0";

/// Service, method, features; in lower case, as clients compare them.
const METHODS: [(&str, &str, &[&str]); 8] = [
    ("event_store.client.streams.streams", "append", &[]),
    ("event_store.client.streams.streams", "batchappend", &["deadline_duration"]),
    ("event_store.client.streams.streams", "read", &["position", "events"]),
    ("event_store.client.streams.streams", "delete", &[]),
    ("event_store.client.streams.streams", "tombstone", &[]),
    ("event_store.client.persistent_subscriptions.persistentsubscriptions", "list", &[]),
    ("event_store.client.gossip.gossip", "read", &[]),
    ("event_store.client.server_features.serverfeatures", "getsupportedmethods", &[]),
];

/// The service `ServerFeatures`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerFeatures;

#[async_trait]
impl server_features_server::ServerFeatures for ServerFeatures {
    async fn get_supported_methods(&self, _: Request<Empty>) -> Result<Response<SupportedMethods>, Status> {
        let methods = METHODS
            .map(|(service, method, features)| SupportedMethod {
                method_name: method.to_owned(),
                service_name: service.to_owned(),
                features: features.iter().map(ToString::to_string).collect(),
            })
            .into();
        Ok(Response::new(SupportedMethods {
            methods,
            event_store_server_version: COMPATIBLE_WITH.to_owned(),
        }))
    }
}
