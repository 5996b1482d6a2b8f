//! What a store holds, in little: equal sums mean equal events, in whatever order the streams stand beside each other.

use crate::record::Record;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Streams are summed in so many groups, so that a difference can be looked for in few of them.
const GROUPS: usize = 4_096;

/// The groups and streams that are looked into.
const LOOKED_INTO: usize = 16;

/// The sum of the digests of some events, with each event's stream and revision in its digest: it is the same in any
/// order, and another one if an event is missing, doubled or different.
type Sum = [u64; 4];

/// The events of a store, summed up.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub(crate) events: u64,
    groups: Vec<Sum>,
    order: Sha256,
}

impl Default for Contents {
    fn default() -> Self {
        Self { events: 0, groups: vec![Sum::default(); GROUPS], order: Sha256::new() }
    }
}

impl Contents {
    /// Takes in the next event.
    pub(crate) fn take(&mut self, record: &Record) {
        let digest = record.digest();
        self.events += 1;
        self.order.update(digest);
        add(&mut self.groups[group(&record.stream)], &digest);
    }

    /// A digest of all events in their order.
    pub(crate) fn in_order(&self) -> String {
        self.order.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first of the groups in which the two differ.
    pub(crate) fn differing(&self, other: &Self) -> Differing {
        let both = self.groups.iter().zip(&other.groups).enumerate();
        let differing = both.filter(|(_, (mine, theirs))| mine != theirs).map(|(group, _)| group);
        Differing { groups: differing.take(LOOKED_INTO).collect(), streams: BTreeMap::new() }
    }
}

/// The groups that differ, and what streams are in them.
#[derive(Debug)]
pub(crate) struct Differing {
    groups: Vec<usize>,
    streams: BTreeMap<String, (Part, Part)>,
}

/// What one store has of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Part {
    events: u64,
    sum: Sum,
}

/// A stream that is not the same in both.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    pub(crate) stream: String,
    pub(crate) source_events: u64,
    pub(crate) target_events: u64,
}

impl Differing {
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Takes in an event of the source.
    pub(crate) fn take_source(&mut self, record: &Record) {
        if let Some((source, _)) = self.parts(record) {
            source.take(record);
        }
    }

    /// Takes in an event of the target.
    pub(crate) fn take_target(&mut self, record: &Record) {
        if let Some((_, target)) = self.parts(record) {
            target.take(record);
        }
    }

    fn parts(&mut self, record: &Record) -> Option<&mut (Part, Part)> {
        self.groups
            .contains(&group(&record.stream))
            .then(|| self.streams.entry(record.stream.clone()).or_default())
    }

    /// The first streams that differ.
    pub(crate) fn streams(self) -> Vec<Difference> {
        let differing = self.streams.into_iter().filter(|(_, (source, target))| source != target);
        let told = differing.map(|(stream, (source, target))| Difference {
            stream,
            source_events: source.events,
            target_events: target.events,
        });
        told.take(LOOKED_INTO).collect()
    }
}

impl Part {
    fn take(&mut self, record: &Record) {
        self.events += 1;
        add(&mut self.sum, &record.digest());
    }
}

fn add(sum: &mut Sum, digest: &[u8; 32]) {
    for (lane, bytes) in sum.iter_mut().zip(digest.chunks_exact(8)) {
        *lane = lane.wrapping_add(bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)));
    }
}

fn group(stream: &str) -> usize {
    let digest: [u8; 32] = Sha256::digest(stream).into();
    (usize::from(digest[0]) << 8 | usize::from(digest[1])) % GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_store::{ContentType, NewEvent};
    use uuid::Uuid;

    fn record(stream: u64, revision: u64, data: &'static str) -> Record {
        let event = NewEvent {
            id: Uuid::from_u128(u128::from(stream) << 64 | u128::from(revision)),
            event_type: "Warehoused".to_owned(),
            content_type: ContentType::Json,
            data: data.into(),
            metadata: Default::default(),
        };
        Record { stream: format!("book-{stream}"), revision, event }
    }

    fn contents<'a>(records: impl IntoIterator<Item = &'a Record>) -> Contents {
        let mut contents = Contents::default();
        records.into_iter().for_each(|record| contents.take(record));
        contents
    }

    fn streams(source: &[Record], target: &[Record]) -> Vec<(String, u64, u64)> {
        let mut differing = contents(source).differing(&contents(target));
        source.iter().for_each(|record| differing.take_source(record));
        target.iter().for_each(|record| differing.take_target(record));
        let differences = differing.streams().into_iter();
        differences.map(|one| (one.stream, one.source_events, one.target_events)).collect()
    }

    #[test]
    fn the_order_of_events_of_different_streams_is_a_thing_of_its_own() {
        let mut records: Vec<Record> = (0..50).map(|stream| record(stream, 0, "{}")).collect();
        let before = contents(&records);
        records.reverse();
        let after = contents(&records);
        assert!(before.differing(&after).is_empty());
        assert_ne!(before.in_order(), after.in_order());
    }

    #[test]
    fn a_stream_with_a_missing_doubled_or_changed_event_is_named() {
        let all: Vec<Record> =
            (0..50).flat_map(|stream| [record(stream, 0, "{}"), record(stream, 1, "{}")]).collect();
        assert_eq!(streams(&all, &all), []);
        assert_eq!(streams(&all, &all[..99]), [("book-49".to_owned(), 2, 1)]);
        assert_eq!(streams(&all[1..], &all), [("book-0".to_owned(), 1, 2)]);
        let doubled: Vec<Record> = all.iter().chain(&all[3..4]).cloned().collect();
        assert_eq!(streams(&all, &doubled), [("book-1".to_owned(), 2, 3)]);
        let mut changed = all.clone();
        changed[10] = record(5, 0, "[]");
        assert_eq!(streams(&all, &changed), [("book-5".to_owned(), 2, 2)]);
    }
}
