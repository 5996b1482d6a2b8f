//! `replay check`: decodes every event of a store, before a version is deployed that has to read them all.

use crate::fold::{self, Around};
use crate::log::{self, Until};
use crate::places::Places;
use crate::progress::Progress;
use crate::table::{Table, count};
use crate::tell::{Outcome, Tell};
use event_store::{Direction, EventStore as _, Kurrent, ReadError, Start, StoredEvent};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// Decode every event of the store with this version of the program.
///
/// An event that cannot be read and was taken out of its book by `replay parked skip` is counted apart.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Tell so many unreadable events at most; all are counted.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

#[derive(Default, Serialize)]
struct Checked {
    /// Events of books.
    events: u64,
    /// Events of other streams, and the marks of those that are deleted for ever: no version of bookstock reads them.
    others: u64,
    shapes: Vec<Shape>,
    /// Events that cannot be read, and that a later one took out of their streams: no fold needs them.
    skipped: u64,
    unreadable: u64,
    #[serde(rename = "firstUnreadable")]
    first: Vec<Unreadable>,
}

/// How many events of a type and version there are.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(rename = "type")]
    event_type: String,
    schema_version: Option<u32>,
    events: u64,
}

#[derive(Serialize)]
struct Unreadable {
    stream: String,
    revision: u64,
    position: String,
    #[serde(rename = "type")]
    event_type: String,
    reason: String,
}

impl Check {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let store = places.store()?;
        let end = log::last(&store).await?.map(|event| event.position);
        let mut progress = Progress::start("checking", end.unwrap_or_default().0);
        let mut checked = Checked::default();
        let mut shapes = BTreeMap::new();
        // Each is an operator's deed, so there are few.
        let mut taken_out = HashSet::new();
        let mut hearing = log::hear(&store, None, &[], Until::End(end));
        while end.is_some()
            && let Some(events) = hearing.batch().await?
        {
            for event in &events {
                if let Some(revision) = self.take(event, &mut checked, &mut shapes) {
                    checked.take_out(&store, &event.stream, revision, &mut taken_out).await?;
                }
            }
            progress.done(events.len(), events.last().map_or(0, |event| event.position.0));
        }
        drop(progress);
        checked.shapes = shapes
            .into_iter()
            .map(|((event_type, schema_version), events)| Shape { event_type, schema_version, events })
            .collect();
        tell.document(&checked, || checked.text())?;
        Ok(if checked.unreadable == 0 { Outcome::Done } else { Outcome::Found })
    }

    /// Takes an event in; answers the revision that it takes out of its stream, if it does.
    fn take(
        &self,
        event: &StoredEvent,
        checked: &mut Checked,
        shapes: &mut BTreeMap<(String, Option<u32>), u64>,
    ) -> Option<u64> {
        let read = fold::decode(event);
        if read == Ok(None) {
            checked.others += 1;
            return None;
        }
        checked.events += 1;
        let shape = (event.event_type.clone(), Around::of(event).schema_version);
        *shapes.entry(shape).or_default() += 1;
        let reason = match read {
            Ok(happening) => return happening?.event.skips(event.revision),
            Err(reason) => reason.to_string(),
        };
        checked.unreadable += 1;
        if checked.first.len() < self.limit {
            checked.first.push(Unreadable {
                stream: event.stream.clone(),
                revision: event.revision,
                position: event.position.to_string(),
                event_type: event.event_type.clone(),
                reason,
            });
        }
        None
    }
}

impl Checked {
    /// An event was met that takes this one out. Whether it was one of those that cannot be read is found by reading it once
    /// more: to remember all of those would take memory without end.
    async fn take_out(
        &mut self,
        store: &Kurrent,
        stream: &str,
        revision: u64,
        taken_out: &mut HashSet<(String, u64)>,
    ) -> anyhow::Result<()> {
        let is_it = |told: &Unreadable| (told.stream.as_str(), told.revision) == (stream, revision);
        // Of one that is deleted for ever only that is known which is told already.
        let is_unreadable = match store.read_stream(stream, Start::At(revision), Direction::Forwards, 1).await
        {
            Err(ReadError::Deleted) => self.first.iter().any(is_it),
            read => {
                read?.first().is_some_and(|event| event.revision == revision && fold::decode(event).is_err())
            }
        };
        if is_unreadable && taken_out.insert((stream.to_owned(), revision)) {
            self.unreadable = self.unreadable.saturating_sub(1);
            self.skipped += 1;
            self.first.retain(|told| !is_it(told));
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut shapes = Table::new(&["type", "schema version>", "events>"]);
        for shape in &self.shapes {
            let version = shape.schema_version.map_or_else(|| "-".to_owned(), |version| version.to_string());
            shapes.row([shape.event_type.clone(), version, count(shape.events)]);
        }
        let (events, others) = (count(self.events), count(self.others));
        let mut text = format!("{events} events of books, {others} others\n\n{}\n", shapes.text());
        if self.skipped > 0 {
            let skipped = count(self.skipped);
            text.push_str(&format!("{skipped} cannot be read and were taken out of their books by a skip\n"));
        }
        if self.unreadable == 0 {
            let all = if self.skipped > 0 { "all others" } else { "all of them" };
            return text + all + " can be read by this version";
        }
        let mut unreadable = Table::new(&["position>", "revision>", "stream", "type", "reason"]);
        for event in &self.first {
            unreadable.row([
                event.position.clone(),
                event.revision.to_string(),
                event.stream.clone(),
                event.event_type.clone(),
                event.reason.clone(),
            ]);
        }
        text.push_str(&format!("{} cannot be read by this version\n\n", count(self.unreadable)));
        text + &unreadable.text()
    }
}
