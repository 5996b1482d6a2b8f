//! The commands behind the last events of a stream: by them a repeat is recognised.

use crate::identity::Fingerprint;
use std::collections::VecDeque;

/// How many events back a command's key is recognised, however old they are.
pub(crate) const WINDOW: u64 = 1_000;

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

/// Those of the last [`WINDOW`] events whose keys a client may send again, as far back as the stream was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    /// Old to new.
    commands: VecDeque<Booked>,
    /// From this revision on, none is missing.
    since: u64,
}

impl Recent {
    /// None yet, of a stream that was read from revision `since` on.
    pub(crate) fn since(since: u64) -> Self {
        Self { commands: VecDeque::new(), since }
    }

    /// Adds the command behind the event at `booked.revision`, which is later than all before.
    pub(crate) fn push(&mut self, booked: Booked) {
        while self.commands.front().is_some_and(|oldest| oldest.revision + WINDOW <= booked.revision) {
            self.commands.pop_front();
        }
        self.commands.push_back(booked);
    }

    /// The command that was booked under `key`.
    pub(crate) fn find(&self, key: Fingerprint) -> Option<Booked> {
        self.commands.iter().rev().find(|booked| booked.key == key).copied()
    }

    /// Whether it reaches back over the window of a stream whose last event has revision `last`.
    pub(crate) fn covers(&self, last: u64) -> bool {
        self.since == 0 || self.since + WINDOW <= last + 1
    }

    /// The memory it takes, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.commands.capacity() * size_of::<Booked>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booked(revision: u64) -> Booked {
        Booked { key: revision.into(), command: Some(7), revision }
    }

    #[test]
    fn a_key_is_recognised_over_the_last_thousand_events() {
        let mut recent = Recent::since(0);
        (0..=WINDOW).for_each(|revision| recent.push(booked(revision)));
        assert_eq!(recent.find(0), None);
        assert_eq!(recent.find(1), Some(booked(1)));
        assert_eq!(recent.find(WINDOW.into()), Some(booked(WINDOW)));
        assert!(recent.heap_bytes() < 100_000);
    }

    #[test]
    fn of_two_events_under_one_key_the_later_answers() {
        let mut recent = Recent::since(0);
        for revision in [3, 4] {
            recent.push(Booked { key: 1, ..booked(revision) });
        }
        assert_eq!(recent.find(1).map(|booked| booked.revision), Some(4));
    }

    #[test]
    fn the_window_is_covered_from_its_first_event_on() {
        assert!(Recent::since(0).covers(5));
        assert!(!Recent::since(5).covers(5));
        assert!(Recent::since(1_000).covers(1_999));
        assert!(!Recent::since(1_001).covers(1_999));
    }
}
