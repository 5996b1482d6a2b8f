//! A projector that starts with an empty database and a long history, a rebuild of what it made and the proof that this
//! is right, beside a follower that throws every event away.

use crate::Plan;
use crate::cpu::Server;
use crate::history;
use crate::memory::peak_mib;
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
const REBUILD: &str = "rebuild";
const VERIFY: &str = "verify";
const FOLLOWER: &str = "follower (limit)";

/// The program that rebuilds and verifies.
const REPLAY: &str = "replay";

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
    let store = Kurrent::connect(&store_url, history::patient())?;
    let last = history::write(&store, size.books, size.events_each).await?;
    let events = size.books * u64::from(size.events_each);
    // It lends its PostgreSQL, and has nothing else to do.
    let system = System::start(dir).await?;
    let servers = [store_process.server(), system.server()];

    let mut most = [0.0f64; 3];
    for round in 0..plan.rounds {
        report.add(FOLLOWER, 1, history::hear_books(&store, events, &servers).await?);
        let place =
            Place { store_url: &store_url, database: &empty_database(&system.database, round).await?, dir };
        let (projected, projector) = place.project(last, events, &servers).await?;
        report.add(PROJECTOR, 1, projected);
        for (what, place_of) in [(REBUILD, 1), (VERIFY, 2)] {
            let (round, peak) = place.replay(what, events, &servers).await?;
            report.add(what, 1, round);
            most[place_of] = most[place_of].max(peak);
        }
        most[0] = most[0].max(peak_mib(projector.server().pid)?);
        projector.stop().await?;
    }
    for (what, most) in [PROJECTOR, REBUILD, VERIFY].into_iter().zip(most) {
        report.compare((what, 1), (FOLLOWER, 1));
        report.memory(what, most);
    }
    system.stop().await?;
    drop(store);
    store_process.stop().await?;
    Ok(report)
}

/// The two stores, and where what the programs say goes.
struct Place<'a> {
    store_url: &'a str,
    database: &'a str,
    dir: &'a Path,
}

impl Place<'_> {
    /// Starts a projector on an empty database, and waits until its checkpoint is `last`. It goes on.
    async fn project(
        &self,
        last: Position,
        events: u64,
        servers: &[Server],
    ) -> anyhow::Result<(Round, Process)> {
        // It only watches the position.
        let options = ReaderOptions { memory_books: 0, ..ReaderOptions::default() };
        let reader = Reader::new(self.database, options)?;
        let program = built(PROJECTOR)?;
        let mut meter = Meter::start(servers)?;
        let projector =
            Process::start(PROJECTOR, &program, self.arguments(&["--listen", ANY_PORT]), self.dir)?;
        meter.also(projector.server());
        reader.wait_for(last.0, PATIENCE).await.context("the projector did not catch up")?;
        Ok((meter.stop(events, None)?, projector))
    }

    /// Runs a subcommand of the replay tool on all events; answers the most memory that it has had, too.
    async fn replay(
        &self,
        what: &'static str,
        events: u64,
        servers: &[Server],
    ) -> anyhow::Result<(Round, f64)> {
        let program = built(REPLAY)?;
        let meter = Meter::start(servers)?;
        let peak = Process::start(REPLAY, &program, self.arguments(&[what]), self.dir)?.end().await?;
        let mut round = meter.stop(events, None)?;
        // The kernel counts what has ended as used by who waited for it, which did nothing else.
        round.servers.insert(REPLAY.to_owned(), std::mem::take(&mut round.generator));
        Ok((round, peak))
    }

    fn arguments<'a>(&'a self, first: &[&'a str]) -> Vec<&'a str> {
        [first, &["--event-store-url", self.store_url, "--database-url", self.database]].concat()
    }
}

/// Makes a database beside `database`, of the same owner, with the control tables and nothing else.
pub(crate) async fn empty_database(database: &str, round: u32) -> anyhow::Result<String> {
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
