//! The commands behind the last events of a stream: by them a repeat is recognised.

use crate::identity::Fingerprint;
use std::collections::{HashMap, VecDeque};

/// How many events back a command's key is recognised, however old they are.
pub(crate) const WINDOW: u64 = 1_000;

/// From so many commands on an index is worth its memory.
const INDEXED_FROM: usize = 64;

/// A command that has been booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Booked {
    /// The fingerprint of its key.
    pub(crate) key: Fingerprint,
    /// The fingerprint of the command; none if its event does not tell it, so that no repeat is taken for it.
    pub(crate) command: Option<Fingerprint>,
    /// The revision of its last event.
    pub(crate) revision: u64,
}

/// Those of a stream's last events whose keys a client may send again, as far back as the stream was read and anyone
/// looked.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    /// None before there is one: most books never see a key, and there are many books.
    keyed: Option<Box<Keyed>>,
    /// From this revision on, none is missing.
    since: u64,
    /// So many events back they are kept: [`WINDOW`], or more if more was asked for.
    reach: u64,
}

#[derive(Clone, Debug, Default)]
struct Keyed {
    /// Old to new.
    commands: VecDeque<Booked>,
    /// The revision by key, once there are many; empty before.
    index: HashMap<Fingerprint, u64>,
}

impl Recent {
    /// None yet, of a stream that was read from revision `since` on, to look `reach` events back.
    pub(crate) fn since(since: u64, reach: u64) -> Self {
        Self { keyed: None, since, reach: reach.max(WINDOW) }
    }

    /// Adds the command behind the event at `booked.revision`, which is later than all before.
    pub(crate) fn push(&mut self, booked: Booked) {
        self.since = self.since.max((booked.revision + 1).saturating_sub(self.reach));
        let keyed = self.keyed.get_or_insert_default();
        keyed.forget_before(self.since);
        keyed.push(booked);
    }

    /// The command that was booked under `key`.
    pub(crate) fn find(&self, key: Fingerprint) -> Option<Booked> {
        self.keyed.as_ref()?.find(key)
    }

    /// Whether it reaches `reach` events back in a stream whose last event has revision `last`.
    pub(crate) fn covers(&self, last: u64, reach: u64) -> bool {
        self.since == 0 || self.since + reach <= last + 1
    }

    /// The memory it takes, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.keyed.as_ref().map_or(0, |keyed| keyed.bytes())
    }
}

impl Keyed {
    fn forget_before(&mut self, since: u64) {
        while let Some(oldest) = self.commands.front().filter(|oldest| oldest.revision < since) {
            // A later event under the same key stays known.
            if self.index.get(&oldest.key) == Some(&oldest.revision) {
                self.index.remove(&oldest.key);
            }
            self.commands.pop_front();
        }
    }

    fn push(&mut self, booked: Booked) {
        self.commands.push_back(booked);
        if !self.index.is_empty() {
            self.index.insert(booked.key, booked.revision);
        } else if self.commands.len() >= INDEXED_FROM {
            self.index = self.commands.iter().map(|booked| (booked.key, booked.revision)).collect();
        }
    }

    fn find(&self, key: Fingerprint) -> Option<Booked> {
        if self.index.is_empty() {
            return self.commands.iter().rev().find(|booked| booked.key == key).copied();
        }
        let revision = self.index.get(&key)?;
        let place = self.commands.binary_search_by_key(revision, |booked| booked.revision).ok()?;
        self.commands.get(place).copied()
    }

    fn bytes(&self) -> usize {
        // A hash map takes a byte more for each place, and fills seven of eight places.
        size_of::<Self>()
            + self.commands.capacity() * size_of::<Booked>()
            + self.index.capacity() * 8 / 7 * (size_of::<(Fingerprint, u64)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::fingerprint;

    fn key(revision: u64) -> Fingerprint {
        fingerprint(&revision.to_string())
    }

    fn booked(revision: u64) -> Booked {
        Booked { key: key(revision), command: Some(key(7)), revision }
    }

    #[test]
    fn a_key_is_recognised_over_the_last_thousand_events() {
        let mut recent = Recent::since(0, 0);
        (0..=WINDOW).for_each(|revision| recent.push(booked(revision)));
        assert_eq!(recent.find(key(0)), None);
        assert_eq!(recent.find(key(1)), Some(booked(1)));
        assert_eq!(recent.find(key(WINDOW)), Some(booked(WINDOW)));
        assert!(recent.heap_bytes() < 150_000, "{}", recent.heap_bytes());
    }

    #[test]
    fn it_reaches_further_back_if_that_was_asked_for() {
        let mut recent = Recent::since(0, 3_000);
        (0..3_000).for_each(|revision| recent.push(booked(revision)));
        assert_eq!(recent.find(key(0)), Some(booked(0)));
        assert!(recent.covers(2_999, 3_000));
        recent.push(booked(3_000));
        assert_eq!(recent.find(key(0)), None);
        assert!(!recent.covers(3_000, 3_001));
    }

    #[test]
    fn of_two_events_under_one_key_the_later_answers_however_many_there_are() {
        let mut recent = Recent::since(0, 0);
        for revision in 3..5_000 {
            recent.push(Booked { key: key(revision / 2), ..booked(revision) });
            assert_eq!(recent.find(key(revision / 2)).map(|booked| booked.revision), Some(revision));
        }
        assert_eq!(recent.find(key(2_000)).map(|booked| booked.revision), Some(4_001));
        assert_eq!(recent.find(key(1_999)), None);
    }

    #[test]
    fn the_window_is_covered_from_its_first_event_on() {
        assert!(Recent::since(0, 0).covers(5, WINDOW));
        assert!(!Recent::since(5, 0).covers(5, WINDOW));
        assert!(Recent::since(1_000, 0).covers(1_999, WINDOW));
        assert!(!Recent::since(1_001, 0).covers(1_999, WINDOW));
        assert!(!Recent::since(1_000, 0).covers(1_999, WINDOW + 1));
    }
}
