//! What size does to the event store: appends to a small store and to a large one in turns, the start of the large one,
//! and the most memory that each had.

use crate::Plan;
use crate::appending::{Appending, event};
use crate::history;
use crate::load::{Span, closed_loop};
use crate::memory::peak_mib;
use crate::process::Process;
use crate::report::Report;
use crate::round::{self, Meter, Round};
use crate::system::event_store;
use event_store::{EventStore as _, Expected, Kurrent};
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::fs;
use std::path::Path;
use std::time::Instant;

const SMALL: &str = "append, small store";
const LARGE: &str = "append, large store";
const ANYWHERE: &str = "append, streams of all ages";
const FOLLOW: &str = "follow the large store";
const OPEN: &str = "open the large store";

/// What the names of the history's streams begin with.
const HISTORY: &str = "old-";

/// How many streams the small store has.
const FEW: u32 = 1_000;

/// How many events each stream of the history has, written in one append.
const EVENTS_EACH: u64 = 10;

/// How many of these appends are under way at once.
const AT_ONCE: usize = 64;

/// How many callers append at once when it is measured.
const CALLERS: usize = 16;

/// How large the large store is.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Size {
    /// How many streams of ten events the large store has.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    streams: u32,
}

pub(crate) async fn run(plan: Plan, size: Size, dir: &Path) -> anyhow::Result<Report> {
    let mut report = plan.report("large-store")?;
    let (small_dir, large_dir) = (dir.join("small"), dir.join("large"));
    let small = Store::open(&small_dir).await?;
    small.fill(FEW).await?;
    let large = Store::open(&large_dir).await?;
    large.fill(size.streams).await?;
    let mut large_peak = large.stop().await?;

    let mut round = 0;
    let large = loop {
        let began = Instant::now();
        let meter = Meter::start(&[])?;
        let large = Store::open(&large_dir).await?;
        let mut latency = round::latencies()?;
        round::record(&mut latency, began.elapsed());
        report.add(OPEN, 1, meter.stop(1, Some(latency))?);
        if round == plan.rounds {
            break large;
        }
        report.add(SMALL, CALLERS, small.append(|caller| young(round, caller), plan.span).await?);
        report.add(LARGE, CALLERS, large.append(|caller| young(round, caller), plan.span).await?);
        let old = |caller| old(size.streams, (round, plan.rounds), caller);
        report.add(ANYWHERE, CALLERS, large.append(old, plan.span).await?);
        large_peak = large_peak.max(large.stop().await?);
        round += 1;
    };
    report.add(FOLLOW, 1, large.follow().await?);
    large_peak = large_peak.max(large.stop().await?);
    for what in [LARGE, ANYWHERE] {
        report.compare((what, CALLERS), (SMALL, CALLERS));
    }
    report.memory("small store", small.stop().await?);
    report.memory("large store", large_peak);
    Ok(report)
}

/// A store that runs.
struct Store {
    process: Process,
    client: Kurrent,
    url: String,
}

impl Store {
    /// Starts it, and waits until it has answered a question about what it holds.
    async fn open(dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let (process, addr) = event_store(dir).await?;
        let url = format!("esdb://{addr}?tls=false");
        let client = Kurrent::connect(&url, Default::default())?;
        client.ping().await?;
        Ok(Self { process, client, url })
    }

    /// Writes the history.
    async fn fill(&self, streams: u32) -> anyhow::Result<()> {
        crate::progress(format_args!("writing {} events", u64::from(streams) * EVENTS_EACH));
        let client = &Kurrent::connect(&self.url, history::patient())?;
        futures_util::stream::iter((0..streams).map(|number| async move {
            let stream = format!("{HISTORY}{number}");
            let events = (0..EVENTS_EACH).map(|revision| event(&stream, revision)).collect();
            client.append(&stream, Expected::NoStream, events).await
        }))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| async { Ok(()) })
        .await?;
        Ok(())
    }

    /// Lets the callers append to the streams that they are given.
    async fn append(
        &self,
        streams: impl Fn(usize) -> Vec<(String, u64)>,
        span: Span,
    ) -> anyhow::Result<Round> {
        let callers =
            (0..CALLERS).map(|caller| Appending::new(self.client.clone(), streams(caller), caller)).collect();
        closed_loop(callers, span, &[self.process.server()]).await
    }

    /// Hears all that is in it, its youngest streams too, and forgets it.
    async fn follow(&self) -> anyhow::Result<Round> {
        history::hear(&self.client, None, &[self.process.server()]).await
    }

    /// Stops it; answers the most memory that it has had, in MiB.
    async fn stop(self) -> anyhow::Result<f64> {
        let peak = peak_mib(self.process.server().pid)?;
        drop(self.client);
        self.process.stop().await?;
        Ok(peak)
    }
}

/// The share of one caller in 1,000 streams that do not exist yet.
fn young(round: u32, caller: usize) -> Vec<(String, u64)> {
    (0..FEW).skip(caller).step_by(CALLERS).map(|number| (format!("young-{round}-{number}"), 0)).collect()
}

/// The share of one caller in the streams of the history that this round appends to: spread over all of it, and no
/// other round's.
fn old(streams: u32, (round, rounds): (u32, u32), caller: usize) -> Vec<(String, u64)> {
    (0..streams)
        .filter(|number| number % rounds == round)
        .skip(caller)
        .step_by(CALLERS)
        .map(|number| (format!("{HISTORY}{number}"), EVENTS_EACH))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn callers_and_rounds_share_no_stream_and_leave_none_out() {
        let shares =
            (0..3).flat_map(|round| (0..CALLERS).flat_map(move |caller| old(1_000, (round, 3), caller)));
        let all: Vec<String> = shares.map(|(stream, _)| stream).collect();
        assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (1_000, 1_000));
    }
}
