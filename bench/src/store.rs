//! The event store alone, through the adapter that the services use: appends beside a bare unary call and the disk, and
//! reading everything.

use crate::Plan;
use crate::cpu::Server;
use crate::history;
use crate::limits::{Running, disk, echo};
use crate::load::{Call, closed_loop};
use crate::random::Random;
use crate::report::Report;
use crate::round::{Meter, Round};
use crate::system::event_store;
use anyhow::ensure;
use bytes::Bytes;
use event_store::{ContentType, Direction, EventStore, Expected, Kurrent, NewEvent, Start};
use std::path::Path;
use uuid::Uuid;

const APPEND: &str = "append";
const ECHO: &str = "unary echo (limit)";
const FDATASYNC: &str = "fdatasync (limit)";
const FOLLOW: &str = "follow from the beginning";
const READ_ALL: &str = "read all, in pages";

/// How many callers append at once, over one client.
const CALLERS: [usize; 3] = [1, 16, 64];

/// How many streams they append to, all together.
const STREAMS: usize = 1_000;

/// The data of one event, in bytes; its metadata is empty.
const EVENT_BYTES: usize = 200;

/// The history that is read: so many books with so many events each.
const HISTORY: (u64, u32) = (10_000, 10);

/// How many events a page has.
const PAGE: usize = 4_096;

pub(crate) async fn run(plan: Plan, dir: &Path) -> anyhow::Result<Report> {
    let mut report = plan.report("store")?;
    let (process, addr) = event_store(dir).await?;
    let servers = [process.server()];
    let store = Kurrent::connect(&format!("esdb://{addr}?tls=false"), Default::default())?;
    let echo = Running::echo(dir).await?;
    let speaker = echo::Caller::connect(echo.addr, Bytes::from_static(&[b'.'; EVENT_BYTES])).await?;

    // Reading comes before appending, so that every round reads the same.
    let (books, events_each) = HISTORY;
    history::write(&store, books, events_each).await?;
    let events = books * u64::from(events_each);
    for _ in 0..plan.rounds {
        report.add(FOLLOW, 1, history::hear(&store, events, &servers).await?);
        report.add(READ_ALL, 1, read_all(&store, events, &servers).await?);
    }
    for round in 0..plan.rounds {
        for callers in CALLERS {
            let appending =
                (0..callers).map(|caller| Appending::new(&store, round, callers, caller)).collect();
            report.add(APPEND, callers, closed_loop(appending, plan.span, &servers).await?);
            let speaking = vec![speaker.clone(); callers];
            report.add(ECHO, callers, closed_loop(speaking, plan.span, &[echo.server()]).await?);
        }
        report.add(FDATASYNC, 1, disk::fdatasync(dir, plan.span).await?);
    }
    for callers in CALLERS {
        report.compare((APPEND, callers), (ECHO, callers));
    }
    report.compare((APPEND, 1), (FDATASYNC, 1));
    drop(store);
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

/// A caller with streams of its own, who knows where they are.
struct Appending {
    store: Kurrent,
    streams: Vec<(String, Expected)>,
    random: Random,
    data: Bytes,
}

impl Appending {
    fn new(store: &Kurrent, round: u32, callers: usize, caller: usize) -> Self {
        let stream = |number| (format!("append-{round}-{callers}-{caller}-{number}"), Expected::NoStream);
        Self {
            store: store.clone(),
            streams: (0..STREAMS.div_ceil(callers)).map(stream).collect(),
            random: Random::seeded(caller),
            data: format!("{{\"n\":\"{}\"}}", ".".repeat(EVENT_BYTES - 8)).into(),
        }
    }
}

impl Call for Appending {
    async fn call(&mut self) -> anyhow::Result<()> {
        let any = self.random.below(self.streams.len());
        let (stream, expected) = &mut self.streams[any];
        let next = match expected {
            Expected::NoStream => 0,
            Expected::Revision(last) => *last + 1,
        };
        let event = NewEvent {
            id: Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{stream}/{next}").as_bytes()),
            event_type: "Appended".to_owned(),
            content_type: ContentType::Json,
            data: self.data.clone(),
            metadata: Bytes::new(),
        };
        let appended = self.store.append(stream, *expected, vec![event]).await?;
        *expected = Expected::Revision(appended.revision);
        Ok(())
    }
}
