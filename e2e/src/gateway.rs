//! The real gateway, with the configuration that is shipped, in front of services under test.

use crate::{Place, Process, Site, eventually};
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// A running HAProxy.
#[derive(Debug)]
pub struct Gateway {
    listen: SocketAddr,
    process: Process,
}

impl Gateway {
    /// Starts it in `place`, in front of two command APIs and two query APIs, with `extra` settings, and waits until it
    /// listens.
    ///
    /// # Panics
    /// When HAProxy is not installed, or refuses its configuration.
    pub async fn start(
        place: &Arc<Place>,
        command_apis: [SocketAddr; 2],
        query_apis: [SocketAddr; 2],
        extra: &[(&str, String)],
    ) -> Self {
        let listen = free_address();
        let configuration =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/gateway/haproxy.cfg");
        let mut haproxy = Command::new(program());
        haproxy.arg("-db").arg("-f").arg(configuration);
        let settings = [
            ("GATEWAY_LISTEN", listen),
            ("COMMAND_API_1", command_apis[0]),
            ("COMMAND_API_2", command_apis[1]),
            ("QUERY_API_1", query_apis[0]),
            ("QUERY_API_2", query_apis[1]),
        ];
        haproxy.envs(settings.map(|(name, addr)| (name, addr.to_string())));
        haproxy.envs(extra.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start(place, "gateway", &mut haproxy);
        eventually("the gateway listens", async || {
            assert!(process.is_running(), "HAProxy ended at its start");
            tokio::net::TcpStream::connect(listen).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
        Self { listen, process }
    }

    /// Its one address.
    #[must_use]
    pub fn site(&self) -> Site {
        Site::new(format!("http://{}", self.listen))
    }

    /// Where it listens.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Waits until it has found a ready service of each kind.
    pub async fn ready(&self) {
        let site = self.site();
        eventually("the gateway is ready", async || site.try_get("/readyz").await?.wanted(200)).await;
    }

    /// What it logged so far, a line a request.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.said()
    }
}

/// Where ports are looked for that nobody listens on: below those that the system gives to outgoing connections, which could
/// take one before its program listens on it.
const FREE_PORTS: Range<u16> = 22_000..32_000;

/// An address that nobody listens on just now, never the same twice: for programs that do not tell which port they took.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(FREE_PORTS.start);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(FREE_PORTS.contains(&port), "no port is free");
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
}

/// Debian keeps it out of the PATH of people.
fn program() -> &'static str {
    let debian = "/usr/sbin/haproxy";
    if Path::new(debian).exists() { debian } else { "haproxy" }
}
