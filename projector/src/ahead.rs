//! What lies ahead: the events between the last one that was heard and the end of the log, which nobody has counted.
//!
//! Positions are no numbers of events: in some stores they count bytes, and other streams have theirs. So the events ahead
//! are reckoned by how many there were up to here.

/// What is known of the log from the checkpoint to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ahead {
    from: u64,
    heard: u64,
    last: u64,
    last_created: Option<i64>,
    end: u64,
}

impl Ahead {
    /// The same log, of which nothing was heard yet after this position.
    pub(crate) fn after(self, position: u64) -> Self {
        Self { from: position, last: position, end: self.end, ..Self::default() }
    }

    /// The next event was heard.
    pub(crate) fn heard(&mut self, position: u64, created_micros: i64) {
        self.heard += 1;
        self.last = self.last.max(position);
        self.last_created = Some(created_micros);
    }

    /// The log ends here now.
    pub(crate) fn ends_at(&mut self, position: u64) {
        self.end = position;
    }

    /// When the last event that was heard was stored.
    pub(crate) fn last_created(&self) -> Option<i64> {
        self.last_created
    }

    /// About how many events are ahead. As long as none was heard, nobody can say more than that there are some.
    pub(crate) fn events(&self) -> u64 {
        let ahead = self.end.saturating_sub(self.last);
        match (self.heard, self.last.saturating_sub(self.from)) {
            (_, 0) | (0, _) => u64::from(ahead > 0),
            (heard, gone) => {
                let events = u128::from(ahead) * u128::from(heard) / u128::from(gone);
                u64::try_from(events).unwrap_or(u64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_ahead_are_reckoned_by_how_many_there_were_up_to_here() {
        let mut ahead = Ahead::default().after(1_000);
        assert_eq!(ahead.events(), 0);
        ahead.ends_at(1_000);
        assert_eq!(ahead.events(), 0, "an idle store");
        ahead.ends_at(21_000);
        assert_eq!(ahead.events(), 1, "at least");
        // Positions that count bytes, ten of them for each event.
        (1..=100).for_each(|event| ahead.heard(1_000 + 10 * event, event.cast_signed()));
        assert_eq!((ahead.events(), ahead.last_created()), (1_900, Some(100)));
        ahead.heard(30_000, 101);
        assert_eq!(ahead.events(), 0, "heard further than was asked");
    }
}
