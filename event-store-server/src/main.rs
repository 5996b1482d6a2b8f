//! The event store server as a program of its own.
#![forbid(unsafe_code)]

mod commands;
mod settings;

use anyhow::Context as _;
use clap::Parser;
use event_store_server::EventStoreServer;
use service_kit::listen::Exposure;
use settings::{Serving, Settings};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// A small durable event store server that speaks the wire protocol of EventStoreDB and KurrentDB.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    settings: Settings,

    /// A TOML file with settings: the keys are the names of the flags, with `_` for `-`.
    #[arg(long, value_name = "FILE", env = "EVENT_STORE_CONFIG")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<commands::Command>,
}

fn main() -> ExitCode {
    match event_store_server::runtime().context("the threads that run the calls cannot be started") {
        Ok(runtime) => runtime.block_on(service_kit::program::run(run)),
        Err(error) => service_kit::program::exit_code(Err(error)),
    }
}

async fn run(args: Args, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Args { settings, config, command } = args;
    let settings = settings.or_from(config.as_deref())?;
    match command {
        Some(command) => tokio::task::spawn_blocking(move || command.run(&settings)).await?,
        None => serve(settings.serving()?, shutdown).await,
    }
}

async fn serve(serving: Serving, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Serving { config, listen, insecure } = serving;
    let exposure = if config.users.is_some() { Exposure::Guarded } else { Exposure::unguarded(insecure) };
    let server = EventStoreServer::open(config)?;
    let setting = "--listen or EVENT_STORE_LISTEN";
    let listener = service_kit::listen::bind("event-store-server", setting, listen, exposure).await?;
    let addr = listener.local_addr().context("the address listened on is not known")?;
    service_kit::program::announce("event-store-server", addr)?;
    server.serve(listener, shutdown).await?;
    Ok(())
}
