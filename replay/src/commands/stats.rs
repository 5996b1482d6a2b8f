//! `replay stats`: how much there is, and how far the read models are.

use crate::log::{self, Until};
use crate::places::Places;
use crate::progress::Progress;
use crate::table::{Table, count};
use crate::tell::{Outcome, Tell, note};
use domain::Timestamp;
use domain::book::BookId;
use event_store::StoredEvent;
use read_model::generation::{self, Listed};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many of the longest streams are told.
const LONGEST: usize = 5;

/// Count what the store holds, and tell how far the read models are.
#[derive(Debug, clap::Args)]
pub(crate) struct Stats {}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    events: u64,
    bytes: u64,
    books: u64,
    streams: u64,
    last_position: String,
    first_stored: Option<Timestamp>,
    last_stored: Option<Timestamp>,
    types: BTreeMap<String, u64>,
    longest: Vec<Length>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_models: Option<Standing>,
}

#[derive(Serialize)]
struct Length {
    stream: String,
    events: u64,
}

/// Where the generation that serves stands.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    generation: i32,
    fold_version: i32,
    position: String,
    /// Events of books after it, up to the end that was read.
    behind: u64,
}

impl Stats {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let store = places.store()?;
        let serves = serves(places).await?;
        let end = log::last(&store).await?.map(|event| event.position);
        let mut counted = Counted::default();
        let mut behind = 0;
        let mut progress = Progress::start("counting", end.unwrap_or_default().0);
        let mut hearing = log::hear(&store, None, &[], Until::End(end));
        while end.is_some()
            && let Some(events) = hearing.batch().await?
        {
            for event in &events {
                let is_book = counted.take(event);
                let is_later = serves.as_ref().is_some_and(|serves| event.position.0 > serves.position);
                behind += u64::from(is_book && is_later);
            }
            progress.done(events.len(), events.last().map_or(0, |event| event.position.0));
        }
        drop(progress);
        counted.last_position = end.unwrap_or_default().to_string();
        counted.read_models = serves.map(|serves| Standing {
            generation: serves.generation,
            fold_version: serves.fold_version,
            position: serves.position.to_string(),
            behind,
        });
        tell.document(&counted, || counted.text())?;
        Ok(Outcome::Done)
    }
}

/// The generation that serves. A database that is away keeps nobody from what the store holds.
async fn serves(places: &Places) -> anyhow::Result<Option<Listed>> {
    if !places.names_a_database() {
        return Ok(None);
    }
    let database = places.database()?;
    let listed = async { generation::list(&database.connect("replay stats", "").await?).await };
    let listed = listed.await.unwrap_or_else(|error| {
        note(format_args!("how far the read models are is left out: {error}"));
        Vec::new()
    });
    Ok(listed.into_iter().find(|listed| listed.serves))
}

impl Counted {
    /// Counts an event, and answers whether it is one of a book.
    fn take(&mut self, event: &StoredEvent) -> bool {
        let is_book = BookId::of_stream(&event.stream).is_some();
        self.events += 1;
        self.bytes += (event.data.len() + event.metadata.len()) as u64;
        // Revisions are dense, so a stream begins with its event 0, and a revision tells how long it is.
        if event.revision == 0 {
            self.streams += 1;
            self.books += u64::from(is_book);
        }
        match self.types.get_mut(&event.event_type) {
            Some(count) => *count += 1,
            None => {
                self.types.insert(event.event_type.clone(), 1);
            }
        }
        let stored = Timestamp::from_unix_micros(event.created_micros).ok();
        self.first_stored = self.first_stored.or(stored);
        self.last_stored = stored.or(self.last_stored);
        // That a stream is deleted for ever stands behind all revisions that it may have.
        if event.is_tombstone() {
            return false;
        }
        self.note_length(&event.stream, event.revision + 1);
        is_book
    }

    fn note_length(&mut self, stream: &str, events: u64) {
        if let Some(known) = self.longest.iter_mut().find(|known| known.stream == stream) {
            known.events = events;
        } else if self.longest.len() < LONGEST {
            self.longest.push(Length { stream: stream.to_owned(), events });
        } else if let Some(shortest) = self.longest.last_mut().filter(|shortest| shortest.events < events) {
            *shortest = Length { stream: stream.to_owned(), events };
        } else {
            return;
        }
        self.longest.sort_by_key(|length| std::cmp::Reverse(length.events));
    }

    fn text(&self) -> String {
        let when = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let mut table = Table::new(&["", ">"]);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row("events", count(self.events));
        row("  bytes of data and metadata", count(self.bytes));
        row("  last position", self.last_position.clone());
        row("  first stored", when(self.first_stored));
        row("  last stored", when(self.last_stored));
        row("streams", count(self.streams));
        row("  books", count(self.books));
        for length in &self.longest {
            row(&format!("  {}", length.stream), count(length.events));
        }
        row("types", count(self.types.len() as u64));
        for (event_type, events) in &self.types {
            row(&format!("  {event_type}"), count(*events));
        }
        if let Some(standing) = &self.read_models {
            row("read models: generation", standing.generation.to_string());
            row("  position", standing.position.clone());
            row("  events behind", count(standing.behind));
        }
        table.text().trim_start_matches('\n').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_stream_is_deleted_for_ever_makes_it_no_longer_and_is_no_event_of_a_book() {
        let event = |event_type: &str, revision| StoredEvent {
            stream: "book-1".to_owned(),
            revision,
            position: event_store::Position(revision),
            id: uuid::Uuid::from_u128(1),
            event_type: event_type.to_owned(),
            content_type: event_store::ContentType::Json,
            data: bytes::Bytes::new(),
            metadata: bytes::Bytes::new(),
            created_micros: 0,
        };
        let mut counted = Counted::default();
        let events = [event("Renewed", 0), event("$streamDeleted", i64::MAX.cast_unsigned())];
        assert_eq!(events.each_ref().map(|event| counted.take(event)), [true, false]);
        assert_eq!((counted.events, counted.books, counted.longest[0].events), (2, 1, 1));
    }

    #[test]
    fn the_longest_streams_are_found_in_the_order_of_the_log() {
        let mut counted = Counted::default();
        for revision in 0..20 {
            for stream in 0..10 {
                if revision <= stream {
                    counted.note_length(&format!("book-{stream}"), revision + 1);
                }
            }
        }
        let longest: Vec<_> = counted.longest.iter().map(|one| (one.stream.as_str(), one.events)).collect();
        assert_eq!(longest, [("book-9", 10), ("book-8", 9), ("book-7", 8), ("book-6", 7), ("book-5", 6)]);
    }
}
