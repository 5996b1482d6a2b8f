//! `replay show`: a stream, event by event.

use crate::fold::Told;
use crate::log;
use crate::places::Places;
use crate::table::Table;
use crate::tell::{Outcome, Tell};
use anyhow::bail;
use domain::book::BookId;
use event_store::{Direction, EventStore as _, Start};
use serde::Serialize;

/// Show the events of a stream, such as book-1.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The name of the stream.
    #[arg(value_name = "STREAM")]
    stream: String,

    /// Begin with this revision.
    #[arg(long, value_name = "REVISION", default_value_t = 0)]
    from: u64,

    /// Show so many events at most.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,

    /// The last events instead of the first, the last one first.
    #[arg(long, conflicts_with = "from")]
    last: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    stream: &'a str,
    events: Vec<Told<'a>>,
}

impl Show {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let (start, direction) = if self.last {
            (Start::End, Direction::Backwards)
        } else {
            (Start::At(self.from), Direction::Forwards)
        };
        let events = places.store()?.read_stream(&self.stream, start, direction, self.limit).await;
        let events = events.map_err(|error| log::why_unread(&self.stream, error))?;
        if events.is_empty() && self.from > 0 {
            bail!("{} has no event {}", self.stream, self.from);
        }
        if events.is_empty() {
            let of_book = self.stream.parse::<BookId>().map(|book| book.stream());
            let hint = of_book.map(|stream| format!("; that of the book is {stream}")).unwrap_or_default();
            bail!("there is no stream {}{hint}", self.stream);
        }
        let shown = Shown { stream: &self.stream, events: events.iter().map(Told::of).collect() };
        tell.document(&shown, || {
            let mut table = Table::new(&["revision>", "position>", "stored", "type", "data"]);
            for event in &shown.events {
                table.row([
                    event.revision.to_string(),
                    event.position.clone(),
                    event.created(),
                    event.event_type.to_owned(),
                    event.data.text().to_owned(),
                ]);
            }
            table.text()
        })?;
        Ok(Outcome::Done)
    }
}
