//! The projector as a program of its own.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::Parser;
use projector::{Settings, Status};
use service_kit::{Auth, AuthSettings, Health, LimitSettings, Limits, edge, listen, program};
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Folds the events of bookstock into its read models. Listens for questions about itself only: health, metrics and `/status`.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, env = "PROJECTOR_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8087")]
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
    let setting = "--listen or PROJECTOR_LISTEN";
    let listener = listen::bind("projector", setting, args.listen, exposure).await?;
    let addr = listener.local_addr().context("the address listened on is not known")?;
    let (health, status) = (Health::default(), Status::default());
    let projecting = projector::run_telling(args.settings, status.clone(), &health, shutdown.clone());
    let serving = async {
        program::announce("projector", format_args!("http://{addr}"))?;
        let routes =
            edge::around("projector", status.routes().into(), &health, &auth, &Limits::new(&args.limits));
        listen::serve(listener, routes, shutdown.clone()).await;
        Ok(())
    };
    tokio::try_join!(projecting, serving)?;
    Ok(())
}
