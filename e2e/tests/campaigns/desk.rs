//! A command API and its event store, each a process of its own.

use e2e::{Place, Process, Service, command};
use std::net::SocketAddr;
use std::process::Command;
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
        Self::open_on(command("event-store-server"), &[]).await
    }

    /// Opens one on a disk that takes so many milliseconds for each sync; its command API is started with these arguments.
    pub(super) async fn open_on_a_slow_disk(sync_ms: u32, arguments: &[&str]) -> Self {
        let server = command("event-store-server");
        let mut strace = Command::new("strace");
        strace
            .args(["--daemonize", "--follow-forks", "--seccomp-bpf", "--quiet=all", "--output=/dev/null"])
            .arg("--trace=fsync,fdatasync")
            .arg(format!("--inject=fsync,fdatasync:delay_enter={sync_ms}ms"))
            .arg(server.get_program());
        Self::open_on(strace, arguments).await
    }

    async fn open_on(mut store: Command, arguments: &[&str]) -> Self {
        let place = Arc::new(Place::new());
        store.arg("--data").arg(place.path().join("events")).args(["--listen", "127.0.0.1:0"]);
        let mut store = Process::start(&place, "store", &mut store);
        let url = format!("esdb://{}?tls=false", store.listening(1).await[0]);
        // The machine may be busy with more than this.
        let arguments = [&["--event-store-url", &url, "--store-timeout-ms", "20000"], arguments].concat();
        let listeners = ["--listen", "--grpc-listen"];
        let api = Service::start(&place, "command-api", "command-api", &listeners, &arguments).await;
        api.ready().await;
        let grpc = api.addrs()[1];
        Self { _place: place, _store: store, api, grpc }
    }
}
