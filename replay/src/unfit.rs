//! What cannot be carried to another store: streams of which a part is hidden or gone. They are found before anything is
//! written, and refused by name.

use crate::log::{self, Until};
use crate::progress::Progress;
use anyhow::bail;
use event_store::{Kurrent, Position, StoredEvent};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The streams in which a store keeps what it knows of others.
const METADATA_PREFIX: &str = "$$";

/// The value of `$tb` that deletes a stream.
const DELETED: u64 = i64::MAX.unsigned_abs();

/// How many streams are named in a refusal.
const NAMED: usize = 5;

/// What a stream's metadata say of its events.
#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(rename = "$tb")]
    truncate_before: Option<u64>,
    #[serde(rename = "$maxCount")]
    max_count: Option<u64>,
    #[serde(rename = "$maxAge")]
    max_age: Option<u64>,
}

/// What is found beside the events.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Why a stream cannot be carried.
    unfit: BTreeMap<String, String>,
    /// Streams with metadata of their own, such as rights, which are not carried.
    pub(crate) metadata: BTreeSet<String>,
}

/// The stream that keeps what the store knows of this one.
pub(crate) fn metadata_of(stream: &str) -> String {
    format!("{METADATA_PREFIX}{stream}")
}

/// Why events of a stream are hidden or gone, as the last event of its metadata says; none if none are.
pub(crate) fn what_is_hidden(metadata: &StoredEvent) -> Option<String> {
    let Metadata { truncate_before, max_count, max_age } =
        serde_json::from_slice(&metadata.data).unwrap_or_default();
    match (truncate_before, max_count, max_age) {
        (Some(DELETED), _, _) => Some("is deleted".to_owned()),
        (Some(first @ 1..), _, _) => Some(format!("is truncated before revision {first}")),
        (_, Some(count), _) => Some(format!("keeps its last {count} events only")),
        (_, _, Some(seconds)) => Some(format!("keeps its events for {seconds} s only")),
        _ => None,
    }
}

/// Looks through a store up to `end`.
pub(crate) async fn look(store: &Kurrent, end: u64) -> anyhow::Result<Beside> {
    let mut found = Beside::default();
    if end == 0 {
        return Ok(found);
    }
    let mut metadata = log::hear(store, None, &[METADATA_PREFIX], Until::End(None));
    while let Some(events) = metadata.batch().await? {
        events.iter().for_each(|event| found.hear_metadata(event));
    }
    let mut progress = Progress::start("looking", end);
    let mut hearing = log::hear(store, None, &[], Until::End(Some(Position(end))));
    while let Some(events) = hearing.batch().await? {
        for event in events.iter().filter(|event| event.is_tombstone()) {
            found.unfit.insert(event.stream.clone(), "is deleted for ever".to_owned());
        }
        progress.done(events.len(), events.last().map_or(0, |event| event.position.0));
    }
    Ok(found)
}

impl Beside {
    /// Only the last event of metadata counts.
    fn hear_metadata(&mut self, event: &StoredEvent) {
        let Some(stream) = event.stream.strip_prefix(METADATA_PREFIX) else { return };
        match what_is_hidden(event) {
            Some(why) => self.unfit.insert(stream.to_owned(), why),
            None => self.unfit.remove(stream),
        };
        self.metadata.insert(stream.to_owned());
    }

    /// Refuses if a stream cannot be carried that is not left out.
    pub(crate) fn refuse(&self, left_out: &HashSet<String>) -> anyhow::Result<()> {
        let unfit: Vec<_> = self.unfit.iter().filter(|(stream, _)| !left_out.contains(*stream)).collect();
        if unfit.is_empty() {
            return Ok(());
        }
        let named = unfit.iter().take(NAMED).map(|(stream, why)| format!("{stream} {why}"));
        let more = unfit.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        bail!(
            "what is not whole cannot be carried: {}{more}; nothing was written; --leave-out STREAM goes on without it",
            named.collect::<Vec<_>>().join(", ")
        )
    }
}
