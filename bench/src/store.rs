//! The event store alone, through the adapter that the services use: appends beside a bare unary call and the disk, and
//! reading everything.

use crate::appending::{Appending, EVENT_BYTES};
use crate::cpu::Server;
use crate::limits::{Running, disk, echo};
use crate::load::closed_loop;
use crate::report::Report;
use crate::round::{Meter, Round};
use crate::system::event_store;
use crate::{Plan, history, live};
use anyhow::ensure;
use bytes::Bytes;
use domain::book::STREAM_PREFIX;
use event_store::{Direction, EventStore as _, Kurrent, Start};
use std::path::Path;
use std::sync::Arc;

const APPEND: &str = "append";
const UNARY_APPEND: &str = "unary append";
const BATCH_APPEND: &str = "batch append";
const ECHO: &str = "unary echo (limit)";
const FDATASYNC: &str = "fdatasync (limit)";
const FOLLOW: &str = "follow from the beginning";
const SCAN: &str = "scanned for 1 % of the streams";
const READ_ALL: &str = "read all, in pages";
const LIVE: &str = "append to follower, live";

/// How many callers append at once, over one client.
const CALLERS: [usize; 3] = [1, 16, 64];

/// How many streams they append to, all together.
const STREAMS: usize = 1_000;

/// The history that is read: so many books with so many events each.
const HISTORY: (u64, u32) = (10_000, 10);

/// What the names of 111 of its 10,000 streams begin with.
const FEW: &str = "77";

/// How many events a page has.
const PAGE: usize = 4_096;

pub(crate) async fn run(plan: Plan, dir: &Path) -> anyhow::Result<Report> {
    let mut report = plan.report("store")?;
    let (process, addr) = event_store(dir).await?;
    let servers = [process.server()];
    let store = Kurrent::connect(&format!("esdb://{addr}?tls=false"), Default::default())?;
    let client = eventstore::Client::new(format!("esdb://{addr}?tls=false").parse()?)?;
    let session = Arc::new(client.batch_append(&Default::default()).await?);
    let echo = Running::echo(dir).await?;
    let speaker = echo::Caller::connect(echo.addr, Bytes::from_static(&[b'.'; EVENT_BYTES])).await?;

    // Reading comes before appending, so that every round reads the same.
    let (books, events_each) = HISTORY;
    history::write(&store, books, events_each).await?;
    let events = books * u64::from(events_each);
    for _ in 0..plan.rounds {
        report.add(FOLLOW, 1, history::hear_books(&store, events, &servers).await?);
        report.add(SCAN, 1, scan(&store, events, &servers).await?);
        report.add(READ_ALL, 1, read_all(&store, events, &servers).await?);
    }
    for round in 0..plan.rounds {
        for callers in CALLERS {
            let appending = (0..callers)
                .map(|caller| Appending::new(store.clone(), streams("one", round, callers, caller), caller))
                .collect();
            report.add(APPEND, callers, closed_loop(appending, plan.span, &servers).await?);
            let in_calls = (0..callers)
                .map(|caller| Appending::new(client.clone(), streams("call", round, callers, caller), caller))
                .collect();
            report.add(UNARY_APPEND, callers, closed_loop(in_calls, plan.span, &servers).await?);
            let in_session = (0..callers)
                .map(|caller| {
                    Appending::new(session.clone(), streams("many", round, callers, caller), caller)
                })
                .collect();
            report.add(BATCH_APPEND, callers, closed_loop(in_session, plan.span, &servers).await?);
            let speaking = vec![speaker.clone(); callers];
            report.add(ECHO, callers, closed_loop(speaking, plan.span, &[echo.server()]).await?);
        }
        report.add(FDATASYNC, 1, disk::fdatasync(dir, plan.span).await?);
        report.add(LIVE, 1, live::measure(&store, &format!("live-{round}-"), plan.span, &servers).await?);
    }
    for callers in CALLERS {
        for what in [APPEND, UNARY_APPEND, BATCH_APPEND] {
            report.compare((what, callers), (ECHO, callers));
        }
    }
    for what in [APPEND, UNARY_APPEND] {
        report.compare((what, 1), (FDATASYNC, 1));
    }
    drop((store, client, session));
    process.stop().await?;
    Ok(report)
}

/// Reads the whole history page by page and forgets it.
async fn read_all(store: &Kurrent, events: u64, servers: &[Server]) -> anyhow::Result<Round> {
    let meter = Meter::start(servers)?;
    let (mut count, mut from) = (0, Start::Beginning);
    loop {
        let page = store.read_all(from, Direction::Forwards, PAGE).await?;
        let Some(last) = page.last() else { break };
        from = Start::At(last.position);
        count += page.len();
    }
    let count = u64::try_from(count)?;
    ensure!(count == events, "{count} of {events} events were read");
    meter.stop(count, None)
}

/// Hears the events of a few streams, for which the store has to look at all of them.
async fn scan(store: &Kurrent, events: u64, servers: &[Server]) -> anyhow::Result<Round> {
    let heard = history::hear(store, Some(&format!("{STREAM_PREFIX}{FEW}")), servers).await?;
    let (books, events_each) = HISTORY;
    let few = (1..=books).filter(|book| book.to_string().starts_with(FEW)).count();
    let hits = u64::try_from(few)? * u64::from(events_each);
    ensure!(heard.count == hits, "{} of {hits} events were heard", heard.count);
    Ok(Round { count: events, ..heard })
}

/// The streams of one caller, which do not exist yet.
fn streams(kind: &str, round: u32, callers: usize, caller: usize) -> Vec<(String, u64)> {
    (0..STREAMS.div_ceil(callers))
        .map(|number| (format!("append-{kind}-{round}-{callers}-{caller}-{number}"), 0))
        .collect()
}
