//! `replay check`: decodes every event of a store, before a version is deployed that has to read them all.

use crate::fold::{self, Around};
use crate::log::{self, Until};
use crate::places::Places;
use crate::progress::Progress;
use crate::table::{Table, count};
use crate::tell::{Outcome, Tell};
use event_store::StoredEvent;
use serde::Serialize;
use std::collections::BTreeMap;

/// Decode every event of the store with this version of the program.
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
    /// Events of other streams, which no version of bookstock reads.
    others: u64,
    shapes: Vec<Shape>,
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
        let mut hearing = log::hear(&store, None, &[], Until::End(end));
        while end.is_some()
            && let Some(events) = hearing.batch().await?
        {
            for event in &events {
                self.take(event, &mut checked, &mut shapes);
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

    fn take(
        &self,
        event: &StoredEvent,
        checked: &mut Checked,
        shapes: &mut BTreeMap<(String, Option<u32>), u64>,
    ) {
        let reason = match fold::decode(event) {
            Ok(None) => {
                checked.others += 1;
                return;
            }
            Ok(Some(_)) => None,
            Err(reason) => Some(reason.to_string()),
        };
        checked.events += 1;
        let shape = (event.event_type.clone(), Around::of(event).schema_version);
        *shapes.entry(shape).or_default() += 1;
        let Some(reason) = reason else { return };
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
    }
}

impl Checked {
    fn text(&self) -> String {
        let mut shapes = Table::new(&["type", "schema version>", "events>"]);
        for shape in &self.shapes {
            let version = shape.schema_version.map_or_else(|| "-".to_owned(), |version| version.to_string());
            shapes.row([shape.event_type.clone(), version, count(shape.events)]);
        }
        let (events, others) = (count(self.events), count(self.others));
        let mut text = format!("{events} events of books, {others} of other streams\n\n{}\n", shapes.text());
        if self.unreadable == 0 {
            return text + "all of them can be read by this version";
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
