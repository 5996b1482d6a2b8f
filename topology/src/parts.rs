//! The parts of the topology, in the order in which they need each other.

use crate::part::{Part, Signs};
use crate::site::events_in;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// How long a service goes on after it was told to stop: the gateway takes a second to notice.
const SHUTDOWN_DELAY_MS: u64 = 2_000;

const SERVICE: Signs = Signs { alive: "/livez", ready: "/readyz" };

/// The services that may be restarted one by one, in that order.
pub(crate) const REPLICAS: [&str; 6] =
    ["command-api-1", "command-api-2", "query-api-1", "query-api-2", "projector-1", "projector-2"];

/// What the parts need to know.
pub(crate) struct Setting<'a> {
    /// Where everything is kept.
    pub(crate) dir: &'a Path,
    /// The database of the read models, for those who write and for those who read.
    pub(crate) database_url: String,
    pub(crate) read_database_url: String,
    /// Take any ports instead of those in the documents.
    pub(crate) free_ports: bool,
    /// Other alert rules than those that are shipped.
    pub(crate) alert_rules: Option<String>,
    /// What the services are told of the tokens that they ask for.
    pub(crate) tokens: Vec<(&'static str, String)>,
    /// How Prometheus logs in, if they do.
    pub(crate) login: Option<Value>,
}

/// All parts but PostgreSQL, which they need first.
pub(crate) fn of(setting: &Setting) -> anyhow::Result<Vec<Part>> {
    let addr = |port: u16| address(port, setting.free_ports);
    let store = addr(2113)?;
    let commands = [(addr(8085)?, addr(8095)?), (addr(18085)?, addr(18095)?)];
    let queries = [addr(8083)?, addr(18083)?];
    let projectors = [addr(8087)?, addr(18087)?];
    let (gateway, gateway_metrics, prometheus) = (addr(8088)?, addr(8404)?, addr(9090)?);
    let store_url = format!("esdb://{store}?tls=false");

    let service = |name: &str, program: &str, at: SocketAddr| -> anyhow::Result<Part> {
        let part = Part::new(name, ours(program)?, at, SERVICE);
        let part = part.env("LOG_FORMAT", "json").env("SHUTDOWN_DELAY_MS", SHUTDOWN_DELAY_MS);
        Ok(setting.tokens.iter().fold(part, |part, (name, value)| part.env(name, value)))
    };
    let event_store = Part::new("event-store", ours("event-store-server")?, store, SERVICE)
        .used_at(&store_url)
        .env("LOG_FORMAT", "json")
        .arg("--data")
        .arg(events_in(setting.dir).display().to_string())
        .arg("--listen")
        .arg(store.to_string());
    let mut parts = vec![event_store];
    for (number, at) in (1..).zip(projectors) {
        let part = service(&format!("projector-{number}"), "projector", at)?;
        let part = part.env("PROJECTOR_LISTEN", at).env("EVENT_STORE_URL", &store_url);
        parts.push(part.env("DATABASE_URL", &setting.database_url));
    }
    for (number, (at, grpc)) in (1..).zip(commands) {
        let part = service(&format!("command-api-{number}"), "command-api", at)?;
        let part = part.env("COMMAND_API_LISTEN", at).env("GRPC_LISTEN", grpc);
        parts.push(part.env("EVENT_STORE_URL", &store_url));
    }
    for (number, at, admin) in [(1, queries[0], addr(8086)?), (2, queries[1], addr(18086)?)] {
        let part = service(&format!("query-api-{number}"), "query-api", at)?;
        let part = part.env("QUERY_API_LISTEN", at).env("ADMIN_LISTEN", admin).env("PAGE", "true");
        parts.push(part.env("DATABASE_URL", &setting.read_database_url));
    }
    let haproxy = Part::new("gateway", installed("haproxy")?, gateway, SERVICE)
        .arg("-db")
        .arg("-f")
        .arg(deploy("gateway/haproxy.cfg"))
        .env("GATEWAY_LISTEN", gateway)
        .env("GATEWAY_METRICS_LISTEN", gateway_metrics)
        .env("COMMAND_API_1", commands[0].0)
        .env("COMMAND_API_2", commands[1].0)
        .env("QUERY_API_1", queries[0])
        .env("QUERY_API_2", queries[1]);
    parts.push(haproxy);

    let commands = commands.map(|(at, _)| at);
    let services = [("projector", projectors), ("command-api", commands), ("query-api", queries)];
    let config = setting.dir.join("prometheus/prometheus.yml");
    std::fs::write(&config, prometheus_config(setting, &services, store, gateway_metrics).to_string())
        .with_context(|| format!("writing {}", config.display()))?;
    let signs = Signs { alive: "/-/healthy", ready: "/-/ready" };
    let data = setting.dir.join("prometheus/data");
    let part = Part::new("prometheus", installed("prometheus")?, prometheus, signs)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address={prometheus}"));
    parts.push(part);
    Ok(parts)
}

/// What Prometheus asks, and by which rules it judges. It reads YAML, which JSON is.
fn prometheus_config(
    setting: &Setting,
    services: &[(&str, [SocketAddr; 2])],
    store: SocketAddr,
    gateway: SocketAddr,
) -> Value {
    let job = |name: &str, targets: &[SocketAddr]| json!({"job_name": name, "static_configs": [{"targets": targets}]});
    let guarded = services.iter().map(|(name, targets)| {
        let mut job = job(name, targets);
        if let Some(login) = &setting.login {
            job["oauth2"] = login.clone();
        }
        job
    });
    let jobs: Vec<Value> =
        guarded.chain([job("event-store", &[store]), job("gateway", &[gateway])]).collect();
    let rules = setting.alert_rules.clone().unwrap_or_else(|| deploy("prometheus/rules/*.yml"));
    json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [rules],
        "scrape_configs": jobs,
    })
}

/// Where ports are looked for that nobody listens on: below those that the system gives to outgoing connections, which could
/// take one before its program listens on it.
const FREE_PORTS: Range<u16> = 10_000..22_000;

/// Loopback, on that port or on a free one.
fn address(port: u16, free: bool) -> anyhow::Result<SocketAddr> {
    if free {
        return free_address();
    }
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(addr).with_context(|| {
        format!("{addr} is taken; stop whoever has it (`bin/up`, another topology), or pass --free-ports")
    })?;
    Ok(addr)
}

/// An address on loopback that nobody listens on just now, never the same twice. Each process looks in its own part of the ports first.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let ports = u32::from(FREE_PORTS.end - FREE_PORTS.start);
    for _ in 0..ports {
        let nth =
            std::process::id().wrapping_mul(16).wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % ports;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, FREE_PORTS.start + u16::try_from(nth)?));
        if TcpListener::bind(addr).is_ok() {
            return Ok(addr);
        }
    }
    anyhow::bail!("no port from {} to {} is free", FREE_PORTS.start, FREE_PORTS.end - 1)
}

/// A file of the checkout that this was built from.
fn deploy(name: &str) -> String {
    format!("{}/../deploy/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// One of our programs, built together with this one.
pub(crate) fn ours(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("where this program is")?;
    let path = this.with_file_name(name);
    anyhow::ensure!(path.exists(), "{} is missing; build it: cargo build --release --bins", path.display());
    Ok(path)
}

/// A program of the system's. Debian keeps some out of the PATH.
fn installed(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places
        .map(|place| place.join(name))
        .find(|program| program.is_file())
        .with_context(|| format!("{name} is not installed; as root: apt-get install {name}"))
}
