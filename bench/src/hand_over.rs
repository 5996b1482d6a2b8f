//! How late a view is when one projector stops, as in a rolling restart, and the one that stands by takes over.

use crate::Plan;
use crate::catch_up::empty_database;
use crate::history;
use crate::http::{Connection, Question};
use crate::process::{Process, built};
use crate::report::Report;
use crate::round::{self, Meter};
use crate::system::{ANY_PORT, System, event_store};
use anyhow::ensure;
use event_store::Kurrent;
use read_model::{Reader, ReaderOptions};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

const STEADY: &str = "event to view";
const HAND_OVER: &str = "event to view, the longest of a hand-over";

const PROJECTOR: &str = "projector";

/// Events there are before: as many books, and more than a new owner looks back on.
const BEFORE: u64 = 10_000;

/// How often it is handed over in a round.
const TIMES: u64 = 5;

/// How long an event may take to its view, and a projector until it stands by.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(plan: Plan, dir: &Path) -> anyhow::Result<Report> {
    let mut report = plan.report("hand-over")?;
    let (store_process, addr) = event_store(dir).await?;
    let store_url = format!("esdb://{addr}?tls=false");
    let store = Kurrent::connect(&store_url, history::patient())?;
    let last = history::write(&store, BEFORE, 1).await?;
    // It lends its PostgreSQL, and has nothing else to do.
    let system = System::start(dir).await?;
    let database = empty_database(&system.database, 0).await?;
    let options = ReaderOptions { memory_books: 0, ..ReaderOptions::default() };
    let mut probe = Probe { store, reader: Reader::new(&database, options)?, book: BEFORE };
    let projector = || {
        let arguments = ["--listen", ANY_PORT, "--event-store-url", &store_url, "--database-url", &database];
        Process::start(PROJECTOR, &built(PROJECTOR)?, arguments, dir)
    };

    let mut owner = projector()?;
    probe.reader.wait_for(last.0, PATIENCE).await?;
    for _ in 0..plan.rounds {
        let meter = Meter::start(&[])?;
        let steady = probe.events_for(plan.span.measured).await?;
        report.add(STEADY, 1, meter.stop(steady.len(), Some(steady))?);

        let meter = Meter::start(&[])?;
        let mut longest = round::latencies()?;
        for _ in 0..TIMES {
            let mut next = projector()?;
            stands_by(next.listening().await?).await?;
            let stop = async {
                tokio::time::sleep(plan.span.measured / 4).await;
                owner.stop().await
            };
            let (seen, ()) = tokio::try_join!(probe.events_for(plan.span.measured), stop)?;
            round::record(&mut longest, Duration::from_nanos(seen.max()));
            owner = next;
        }
        report.add(HAND_OVER, 1, meter.stop(TIMES, Some(longest))?);
    }
    owner.stop().await?;
    system.stop().await?;
    drop(probe);
    store_process.stop().await?;
    Ok(report)
}

/// Appends, and watches the views.
struct Probe {
    store: Kurrent,
    reader: Reader,
    /// The last book that there is.
    book: u64,
}

impl Probe {
    /// One event after the other for so long: how long each takes to its view.
    async fn events_for(&mut self, span: Duration) -> anyhow::Result<round::Latencies> {
        let mut latencies = round::latencies()?;
        let begun = Instant::now();
        while begun.elapsed() < span {
            self.book += 1;
            let position = history::begin(&self.store, self.book).await?;
            let appended = Instant::now();
            self.reader.wait_for(position.0, PATIENCE).await?;
            round::record(&mut latencies, appended.elapsed());
        }
        Ok(latencies)
    }
}

/// Waits until a projector is ready, as owner or not.
async fn stands_by(addr: SocketAddr) -> anyhow::Result<()> {
    let ready = Question::get("/readyz")?;
    let begun = Instant::now();
    let mut asking = Connection::open(addr).await?;
    while !asking.ask(&ready).await?.0.is_success() {
        ensure!(begun.elapsed() < PATIENCE, "the projector does not stand by");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
