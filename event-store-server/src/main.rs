//! The event store server as a program of its own.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::Parser;
use event_store_server::{Config, EventStoreServer, Limits};
use service_kit::listen::Exposure;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// A small durable event store server that speaks the wire protocol of EventStoreDB and KurrentDB.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where the events are kept; made if it is missing.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", env = "EVENT_STORE_LISTEN", default_value = "127.0.0.1:2113")]
    listen: SocketAddr,

    /// Listen on an address that other machines can reach, though nothing asks who they are.
    #[arg(long)]
    insecure: bool,

    /// The size that the database may grow to, in bytes; appends beyond it are refused as on a full disk.
    #[arg(long, value_name = "BYTES")]
    max_store_bytes: Option<u64>,

    /// Do not acknowledge what clients send at once: each append then takes 40 ms for a client without TCP_NODELAY, as
    /// it does with other servers. For testing clients.
    #[arg(long)]
    no_quickack: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    service_kit::program::run(run).await
}

async fn run(args: Args, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Args { data, listen, insecure, max_store_bytes, no_quickack } = args;
    let limits = Limits { max_store_bytes, ..Limits::default() };
    let config = Config { limits, quickack: !no_quickack, ..Config::new(data) };
    let server = EventStoreServer::open(config)?;
    let listener = service_kit::listen::bind(
        "event-store-server",
        "--listen or EVENT_STORE_LISTEN",
        listen,
        Exposure::unguarded(insecure),
    )
    .await?;
    let addr = listener.local_addr().context("the address listened on is not known")?;
    service_kit::program::announce("event-store-server", addr)?;
    server.serve(listener, shutdown).await?;
    Ok(())
}
