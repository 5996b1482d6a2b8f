//! `bookstock up`: the whole system in one process.
//!
//! The same parts as on many machines, over the same connections; what is embedded is only what stands behind two
//! addresses. Parts start in the order in which they need each other and stop in the opposite one.

mod addresses;
mod behind;
mod data_dir;
mod parts;
mod readiness;
mod settings;
mod sockets;

use crate::postgres::{PrivateCluster, Turn};
pub use addresses::Addresses;
use anyhow::Context as _;
use axum::Router;
use behind::Behind;
use data_dir::DataDir;
use event_store_server::{Config, EventStoreServer};
use futures_util::FutureExt as _;
use futures_util::future::{join, join_all, try_join, try_join_all};
use parts::Parts;
use projector::Status;
use service_kit::{Auth, AuthSettings, Health, LimitSettings, Limits, edge, listen, traces};
use sockets::Sockets;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long a part may take to stop; PostgreSQL, which comes last and has most to write, may take longer.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const POSTGRES_STOPS_WITHIN: Duration = Duration::from_secs(45);

/// Run the whole system in this process, until Ctrl-C.
#[derive(Clone, clap::Args)]
#[command(
    after_help = "The services take their other settings from the environment, as they do when they run alone: \
    NAME is what a new book is called if nobody says; `command-api --help` and the like tell the rest."
)]
pub struct Up {
    /// Where everything is kept; made if it is missing.
    #[arg(long, value_name = "DIR", default_value = ".bookstock")]
    data_dir: PathBuf,

    /// Where all routes are. Port 0, here and below, takes any free one.
    #[arg(long, value_name = "ADDR", env = "GATEWAY_LISTEN", default_value = "127.0.0.1:8088")]
    gateway: SocketAddr,

    /// Where the command side is.
    #[arg(long, value_name = "ADDR", env = "COMMAND_API_LISTEN", default_value = "127.0.0.1:8085")]
    command_api: SocketAddr,

    /// Where the command side is for gRPC.
    #[arg(long, value_name = "ADDR", env = "GRPC_LISTEN", default_value = "127.0.0.1:8095")]
    grpc: SocketAddr,

    /// Where the query side is.
    #[arg(long, value_name = "ADDR", env = "QUERY_API_LISTEN", default_value = "127.0.0.1:8083")]
    query_api: SocketAddr,

    /// Where the query side is once more, for the admin list.
    #[arg(long, value_name = "ADDR", env = "ADMIN_LISTEN", default_value = "127.0.0.1:8086")]
    admin: SocketAddr,

    /// Where the projector tells how far the read models are.
    #[arg(long, value_name = "ADDR", env = "PROJECTOR_LISTEN", default_value = "127.0.0.1:8087")]
    projector: SocketAddr,

    /// Where the embedded event store is.
    #[arg(long, value_name = "ADDR", env = "EVENT_STORE_LISTEN", default_value = "127.0.0.1:2113")]
    event_store: SocketAddr,

    /// Listen on addresses that other machines can reach, though nothing asks who they are.
    #[arg(long)]
    insecure: bool,

    #[command(flatten)]
    auth: AuthSettings,

    #[command(flatten)]
    limits: LimitSettings,

    /// The event store to use instead of the embedded one, as an EventStoreDB connection string.
    #[arg(long, value_name = "URL", env = "EVENT_STORE_URL", hide_env_values = true)]
    event_store_url: Option<String>,

    /// The PostgreSQL to use instead of a private one, as postgres://user:password@host:5432/name.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// Runs the system until Ctrl-C or SIGTERM, and stops it in order.
///
/// # Errors
/// When a part cannot start, or ends by itself. Whatever runs is stopped then too.
pub async fn run(up: Up) -> anyhow::Result<ExitCode> {
    service_kit::telemetry::init();
    service_kit::program::settle_in();
    traces::start("bookstock")?;
    let shutdown =
        service_kit::shutdown::on_signal(Duration::ZERO).context("the signals to stop cannot be watched")?;
    let data_dir = DataDir::take(&up.data_dir)?;
    let mut parts = Parts::default();
    let outcome = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(ExitCode::SUCCESS),
        failure = start_and_watch(up, &data_dir, &mut parts) => failure.map(|never| match never {}),
    };
    data_dir.withdraw();
    parts.stop().await;
    traces::stop().await;
    outcome
}

/// Starts everything, says so, and returns only with the reason why it cannot go on.
async fn start_and_watch(
    up: Up,
    data_dir: &DataDir,
    parts: &mut Parts,
) -> anyhow::Result<std::convert::Infallible> {
    // What somebody else has taken is found out before anything is started.
    let auth = Auth::new(&up.auth)?;
    let sockets = Sockets::bind(&up, auth.exposure(up.insecure)).await?;
    let database = start_database(&up, data_dir, parts).await?;
    let event_store = start_event_store(&up, data_dir, sockets.event_store, parts)?;
    let addresses = Addresses {
        gateway: addresses::http(&sockets.gateway)?,
        command_api: addresses::http(&sockets.command_api)?,
        grpc: addresses::http(&sockets.grpc)?,
        query_api: addresses::http(&sockets.query_api)?,
        admin: addresses::http(&sockets.admin)?,
        projector: addresses::http(&sockets.projector)?,
        event_store: event_store.clone(),
        database: database.url.clone(),
    };

    let (command, query, projection) = (Health::default(), Health::default(), Health::default());
    let of_store = ("event-store-url", event_store.as_str());
    let of_database = ("database-url", database.url.as_str());

    let mut of_projector = vec![of_store, of_database];
    if database.read_url.is_some() {
        // Nobody else is on the private database: the lease of one that was killed is taken over at once.
        of_projector.push(("lease-owner", "bookstock up"));
    }
    let (settings, health, status) = (settings::of(&of_projector)?, projection.clone(), Status::default());
    let told = status.routes();
    let projecting = async move |stop| projector::run_telling(settings, status, &health, stop).await;
    parts.add("the projector", STOP_WITHIN, projecting);

    // Their watches of store and database end when the listeners have stopped.
    let services = CancellationToken::new();
    let command_api::WaysIn { http: commands, grpc: calls } =
        command_api::open(&settings::of(&[of_store])?, &command, services.clone())?;
    let mut of_queries = vec![of_database];
    of_queries.extend(database.read_url.as_deref().map(|url| ("read-database-url", url)));
    let queries = query_api::routes(&settings::of(&of_queries)?, &query, services.clone()).await?;

    // A client has one allowance, whichever of the listeners it comes to.
    let limits = Limits::new(&up.limits);
    // Not before each of them has registered its checks: a health without any passes for ready.
    let health = readiness::of_all([
        ("command-api", command.clone()),
        ("query-api", query.clone()),
        ("projector", projection.clone()),
    ]);
    let all = commands.clone().merge(queries.clone()).merge(query_api::page(auth.issuer_origin()).into());
    let before = [
        (sockets.gateway, edge::around("gateway", all, &health, &auth, &limits)),
        (sockets.command_api, edge::around("command-api", commands, &command, &auth, &limits)),
    ];
    let behind = [
        (sockets.query_api, edge::around("query-api", queries.clone(), &query, &auth, &limits)),
        (sockets.admin, edge::around("query-api", queries, &query, &auth, &limits)),
        (sockets.projector, edge::around("projector", told.into(), &projection, &auth, &limits)),
    ];
    let calls = (sockets.grpc, edge::around_calls("command-api", calls, &auth, &limits));
    let threads = Behind::start()?;
    parts.add("listening", STOP_WITHIN, |stop| serve_all(before, calls, behind, threads, stop, services));

    data_dir.announce(&addresses)?;
    tokio::select! {
        () = readiness::reached(&health) => {}
        failure = parts.failure() => return Err(failure),
    }
    data_dir.publish()?;
    addresses.greet(up.event_store_url.is_some(), up.database_url.is_some())?;
    Err(parts.failure().await)
}

/// Which database the read models are in.
struct Database {
    url: String,
    /// The address for those who only read, if it is another.
    read_url: Option<String>,
}

async fn start_database(up: &Up, data_dir: &DataDir, parts: &mut Parts) -> anyhow::Result<Database> {
    if let Some(url) = up.database_url.clone() {
        // The services would wait for it. Whoever types a command is told at once.
        read_model::migrate(&url)
            .await
            .context("DATABASE_URL does not lead to a database that can be used")?;
        return Ok(Database { url, read_url: None });
    }
    let cluster = PrivateCluster::start(data_dir.path()).await?;
    let database = Database { url: cluster.url(), read_url: Some(cluster.read_url()) };
    parts.add("PostgreSQL", POSTGRES_STOPS_WITHIN, async |stop| {
        cluster.keep_running(stop, tell_of_postgres).await;
        Ok(())
    });
    read_model::migrate(&database.url).await?;
    Ok(database)
}

fn tell_of_postgres(turn: Turn<'_>) {
    match turn {
        Turn::Ended(how) => {
            tracing::error!(how, "PostgreSQL ended and is started again; postgres.log says why");
        }
        Turn::NotBack(error) => tracing::error!(%error, "PostgreSQL cannot be started; trying again"),
        Turn::Back => tracing::info!("PostgreSQL is back"),
    }
}

/// Starts the embedded event store, if it is wanted, and gives the address of whichever is used.
fn start_event_store(
    up: &Up,
    data_dir: &DataDir,
    listener: Option<TcpListener>,
    parts: &mut Parts,
) -> anyhow::Result<String> {
    match (&up.event_store_url, listener) {
        (None, Some(listener)) => {
            let url = addresses::event_store(&listener)?;
            let server = EventStoreServer::open(Config::new(data_dir.path().join("event-store")))?;
            parts.add("the event store", STOP_WITHIN, |stop| async move {
                Ok(server.serve(listener, stop).await?)
            });
            Ok(url)
        }
        (Some(url), _) => Ok(url.clone()),
        (None, None) => anyhow::bail!("neither an event store nor a place to listen for one is given"),
    }
}

/// Serves all of it until it is told to `stop`; what is `behind` by `threads` of its own.
async fn serve_all(
    before: [(TcpListener, Router); 2],
    (for_calls, calls): (TcpListener, Router),
    behind: [(TcpListener, Router); 3],
    threads: Behind,
    stop: CancellationToken,
    services: CancellationToken,
) -> anyhow::Result<()> {
    let serve = |(listener, router)| listen::serve(listener, router, stop.clone());
    let behind = behind.map(|one| threads.spawn(serve(one)));
    let serving = join(join_all(before.map(serve)), listen::serve_calls(for_calls, calls, stop.clone()));
    // Ends at once if one of those behind ends in a panic.
    let served = try_join(serving.map(Ok), try_join_all(behind)).await;
    services.cancel();
    served.context("serving queries ended")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::openapi::Whole;

    const WRITE: &str = "WRITE_OPENAPI";

    /// The services are asked nothing, so neither store nor database has to be there.
    #[tokio::test]
    async fn the_document_of_the_gateway_is_that_of_both_services() {
        let (health, stop) = (Health::default(), CancellationToken::new());
        let store = settings::of(&[("event-store-url", "esdb://127.0.0.1:1?tls=false")]).unwrap();
        let database = settings::of(&[("database-url", "postgres://nobody@127.0.0.1:1/nothing")]).unwrap();
        let commands = command_api::open(&store, &health, stop.clone()).unwrap().http;
        let queries = query_api::routes(&database, &health, stop.clone()).await.unwrap();
        stop.cancel();
        let whole = Whole::of(&commands.merge(queries));
        if std::env::var_os(WRITE).is_some() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
            std::fs::write(file, whole.to_string()).unwrap();
        } else {
            assert!(
                query_api::whole().unwrap() == whole,
                "docs/openapi.json is another; set {WRITE} and try again"
            );
        }
    }
}
