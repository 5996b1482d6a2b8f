//! The command side as a program of its own.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::Parser;
use command_api::Settings;
use service_kit::{Auth, AuthSettings, Health, LimitSettings, edge, listen, program};
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Takes the commands of bookstock over HTTP and books them in the event store.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, env = "COMMAND_API_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8085")]
    listen: SocketAddr,

    /// Listen on an address that other machines can reach, though nothing asks who they are.
    #[arg(long)]
    insecure: bool,

    #[command(flatten)]
    auth: AuthSettings,

    #[command(flatten)]
    limits: LimitSettings,

    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    program::run(run).await
}

async fn run(args: Args, shutdown: CancellationToken) -> anyhow::Result<()> {
    let auth = Auth::new(&args.auth)?;
    let exposure = auth.exposure(args.insecure);
    let setting = "--listen or COMMAND_API_LISTEN";
    let listener = listen::bind("command-api", setting, args.listen, exposure).await?;
    let addr = listener.local_addr().context("the address listened on is not known")?;
    let health = Health::default();
    let routes = command_api::routes(&args.settings, &health, shutdown.clone())?;
    program::announce("command-api", format_args!("http://{addr}"))?;
    let router = edge::around("command-api", routes, &health, &auth, &args.limits);
    listen::serve(listener, router, shutdown).await;
    Ok(())
}
