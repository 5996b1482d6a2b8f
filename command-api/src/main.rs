//! The command side as a program of its own.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::Parser;
use command_api::Settings;
use service_kit::{Auth, AuthSettings, Health, LimitSettings, Limits, edge, listen, program};
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Takes the commands of bookstock over HTTP and gRPC and books them in the event store.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, env = "COMMAND_API_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8085")]
    listen: SocketAddr,

    /// Where to listen for gRPC.
    #[arg(long, env = "GRPC_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8095")]
    grpc_listen: SocketAddr,

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
    let http = listen::bind("command-api", setting, args.listen, exposure).await?;
    let setting = "--grpc-listen or GRPC_LISTEN";
    let grpc = listen::bind("command-api (gRPC)", setting, args.grpc_listen, exposure).await?;
    let health = Health::default();
    let ways_in = command_api::open(&args.settings, &health, shutdown.clone())?;
    for (name, listener) in [("command-api", &http), ("command-api (gRPC)", &grpc)] {
        let addr = listener.local_addr().context("the address listened on is not known")?;
        program::announce(name, format_args!("http://{addr}"))?;
    }
    let limits = Limits::new(&args.limits);
    let routes = edge::around("command-api", ways_in.http, &health, &auth, &limits);
    let calls = edge::around_calls("command-api", ways_in.grpc, &auth, &limits);
    tokio::join!(listen::serve(http, routes, shutdown.clone()), listen::serve_calls(grpc, calls, shutdown),);
    Ok(())
}
