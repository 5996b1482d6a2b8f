//! `replay tail`: the newest events of all streams, and on with what comes.

use crate::fold::Told;
use crate::log::{self, Until};
use crate::places::Places;
use crate::tell::{Outcome, Tell};
use event_store::{Direction, EventStore as _, Kurrent, Start, StoredEvent};
use std::time::Duration;

/// Show the newest events of all streams.
#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    /// How many of those that are there.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    lines: usize,

    /// Only streams whose names begin so; may be given several times.
    #[arg(long, value_name = "PREFIX")]
    filter: Vec<String>,

    /// Only events of this type; may be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,

    /// Go on with what comes, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
}

impl Tail {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let store = places.store()?;
        // What is shown goes up to this one, and what comes begins after it.
        let end = log::last(&store).await?;
        let mut newest = match &end {
            Some(end) => self.newest(&store, end).await?,
            None => Vec::new(),
        };
        newest.reverse();
        for event in &newest {
            show(event, tell)?;
        }
        if self.follow {
            let from = end.map(|event| (event.position, event.id));
            let prefixes: Vec<&str> = self.filter.iter().map(String::as_str).collect();
            let stop = service_kit::shutdown::on_signal(Duration::ZERO)?;
            let mut hearing = log::hear(&store, from, &prefixes, Until::Stopped);
            while let Some(events) = stop.run_until_cancelled(hearing.batch()).await.transpose()?.flatten() {
                for event in events.iter().filter(|event| self.lets_through(event)) {
                    show(event, tell)?;
                }
            }
        }
        Ok(Outcome::Done)
    }

    /// The newest events up to `end`, the last one first.
    async fn newest(&self, store: &Kurrent, end: &StoredEvent) -> anyhow::Result<Vec<StoredEvent>> {
        const PAGE: usize = 1_000;
        let mut found = Vec::new();
        let mut page = vec![end.clone()];
        while let Some(earliest) = page.last().map(|event| event.position) {
            let wanted = page.into_iter().filter(|event| self.lets_through(event));
            found.extend(wanted.take(self.lines - found.len()));
            if found.len() == self.lines {
                break;
            }
            page = store.read_all(Start::At(earliest), Direction::Backwards, PAGE).await?;
        }
        Ok(found)
    }

    fn lets_through(&self, event: &StoredEvent) -> bool {
        let named =
            self.filter.is_empty() || self.filter.iter().any(|prefix| event.stream.starts_with(prefix));
        named && (self.types.is_empty() || self.types.contains(&event.event_type))
    }
}

fn show(event: &StoredEvent, tell: Tell) -> anyhow::Result<()> {
    let told = Told::of(event);
    tell.item(&told, || {
        format!(
            "{}  {}  {}@{}  {}  {}",
            told.position,
            told.created(),
            told.revision,
            told.stream,
            told.event_type,
            told.data.text()
        )
    })
}
