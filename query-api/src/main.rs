//! The query side as a program of its own.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::Parser;
use query_api::Settings;
use service_kit::{Auth, AuthSettings, Health, LimitSettings, Limits, edge, listen, program};
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Answers the queries of bookstock over HTTP from the read models. Both addresses answer the same paths.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, env = "QUERY_API_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8083")]
    listen: SocketAddr,

    /// Where to listen as well: where administrators look for their list.
    #[arg(long, env = "ADMIN_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8086")]
    admin_listen: SocketAddr,

    /// Listen on an address that other machines can reach, though nothing asks who they are.
    #[arg(long)]
    insecure: bool,

    /// Serve the librarian's page at `/`, and the interface of the commands too at `/openapi.json` and `/docs`, for a gateway in
    /// front that has the routes for commands. The page is for requests that came through it, with `X-Forwarded-Host`.
    #[arg(long, env = "PAGE")]
    page: bool,

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
    let setting = "--listen or QUERY_API_LISTEN";
    let books = listen::bind("query-api", setting, args.listen, exposure).await?;
    let setting = "--admin-listen or ADMIN_LISTEN";
    let admins = listen::bind("query-api", setting, args.admin_listen, exposure).await?;
    let addrs = [books.local_addr(), admins.local_addr()];
    let health = Health::default();
    let mut routes = query_api::routes(&args.settings, &health, shutdown.clone()).await?;
    if args.page {
        let page = query_api::page_behind_gateway(auth.issuer_origin());
        routes = routes.merge(page.into()).part_of(query_api::whole()?);
    }
    let router = edge::around("query-api", routes, &health, &auth, &Limits::new(&args.limits));
    for addr in addrs {
        let addr = addr.context("the address listened on is not known")?;
        program::announce("query-api", format_args!("http://{addr}"))?;
    }
    tokio::join!(
        listen::serve(books, router.clone(), shutdown.clone()),
        listen::serve(admins, router, shutdown),
    );
    Ok(())
}
