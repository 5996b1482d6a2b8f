//! A projector that starts with an empty database and a long history, beside a follower that throws every event away.

use crate::Plan;
use crate::cpu::Server;
use crate::history;
use crate::process::{Process, built};
use crate::report::Report;
use crate::round::{Meter, Round};
use crate::system::{ANY_PORT, System, event_store};
use anyhow::Context as _;
use event_store::{Kurrent, Position};
use read_model::{Reader, ReaderOptions};
use std::path::Path;
use std::time::Duration;
use tokio_postgres::NoTls;

const PROJECTOR: &str = "projector";
const FOLLOWER: &str = "follower (limit)";

/// The longest that catching up may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Who may make databases in the private PostgreSQL.
const SUPERUSER: &str = "postgres";

/// How long the history is.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Size {
    /// How many books there are.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    books: u64,

    /// How many events each of them has.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    events_each: u32,
}

pub(crate) async fn run(plan: Plan, size: Size, dir: &Path) -> anyhow::Result<Report> {
    let mut report = plan.report("catch-up")?;
    let (store_process, addr) = event_store(dir).await?;
    let store_url = format!("esdb://{addr}?tls=false");
    let store = Kurrent::connect(&store_url, Default::default())?;
    let last = history::write(&store, size.books, size.events_each).await?;
    let events = size.books * u64::from(size.events_each);
    // It lends its PostgreSQL, and has nothing else to do.
    let system = System::start(dir).await?;
    let servers = [store_process.server(), system.server()];

    for round in 0..plan.rounds {
        report.add(FOLLOWER, 1, history::hear_books(&store, events, &servers).await?);
        let database = empty_database(&system.database, round).await?;
        report.add(PROJECTOR, 1, project(&store_url, &database, last, events, &servers, dir).await?);
    }
    report.compare((PROJECTOR, 1), (FOLLOWER, 1));
    system.stop().await?;
    drop(store);
    store_process.stop().await?;
    Ok(report)
}

/// Starts a projector on an empty database, and waits until its checkpoint is `last`.
async fn project(
    store_url: &str,
    database: &str,
    last: Position,
    events: u64,
    servers: &[Server],
    dir: &Path,
) -> anyhow::Result<Round> {
    // It only watches the position.
    let reader = Reader::new(database, ReaderOptions { memory_books: 0, ..ReaderOptions::default() })?;
    let arguments = ["--event-store-url", store_url, "--database-url", database, "--listen", ANY_PORT];
    let program = built(PROJECTOR)?;
    let mut meter = Meter::start(servers)?;
    let projector = Process::start(PROJECTOR, &program, arguments, dir)?;
    meter.also(projector.server());
    reader.wait_for(last.0, PATIENCE).await.context("the projector did not catch up")?;
    let round = meter.stop(events, None)?;
    projector.stop().await?;
    Ok(round)
}

/// Makes a database beside `database`, of the same owner, with the control tables and nothing else.
async fn empty_database(database: &str, round: u32) -> anyhow::Result<String> {
    let name = format!("catch_up_{round}");
    let mut config: tokio_postgres::Config = database.parse()?;
    let owner = config.get_user().context("the database's URL names no user")?.to_owned();
    let (client, connection) = config.user(SUPERUSER).connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(&format!("CREATE DATABASE {name} OWNER {owner}")).await?;
    drop(client);
    connection.await??;
    let url = beside(database, &name)?;
    read_model::migrate(&url).await?;
    Ok(url)
}

/// The connection string `database` with another database's name.
fn beside(database: &str, name: &str) -> anyhow::Result<String> {
    let (scheme, rest) = database.split_once("://").context("the database is not named by a URL")?;
    let (place, options) =
        rest.split_once('?').map_or((rest, None), |(place, options)| (place, Some(options)));
    let (server, _) = place.split_once('/').unwrap_or((place, ""));
    Ok(match options {
        Some(options) => format!("{scheme}://{server}/{name}?{options}"),
        None => format!("{scheme}://{server}/{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_same_server_has_the_same_url_but_for_its_name() {
        let other = |database| beside(database, "other").unwrap();
        assert_eq!(other("postgres://me@host:5432/mine"), "postgres://me@host:5432/other");
        assert_eq!(other("postgres:///mine?host=%2Ftmp%2Fpg"), "postgres:///other?host=%2Ftmp%2Fpg");
        assert_eq!(other("postgres://me@%2Ftmp%2Fpg/mine"), "postgres://me@%2Ftmp%2Fpg/other");
    }
}
