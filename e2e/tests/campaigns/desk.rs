//! A command API and its event store, each a process of its own.

use e2e::{Place, Process, Service, command};
use std::net::SocketAddr;
use std::sync::Arc;

/// Both of them.
pub(super) struct Desk {
    _place: Arc<Place>,
    _store: Process,
    pub(super) api: Service,
    pub(super) grpc: SocketAddr,
}

impl Desk {
    /// Opens one.
    pub(super) async fn open() -> Self {
        let place = Arc::new(Place::new());
        let mut store = command("event-store-server");
        store.arg("--data").arg(place.path().join("events")).args(["--listen", "127.0.0.1:0"]);
        let mut store = Process::start(&place, "store", &mut store);
        let url = format!("esdb://{}?tls=false", store.listening(1).await[0]);
        // The machine may be busy with more than this.
        let arguments = ["--event-store-url", &url, "--store-timeout-ms", "19000"];
        let listeners = ["--listen", "--grpc-listen"];
        let api = Service::start(&place, "command-api", "command-api", &listeners, &arguments).await;
        api.ready().await;
        let grpc = api.addrs()[1];
        Self { _place: place, _store: store, api, grpc }
    }
}
