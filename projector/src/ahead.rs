//! What lies ahead: the events between the last one that was heard and the end of the log, which nobody has counted.
//!
//! Positions are no numbers of events: in some stores they count bytes, and other streams have theirs. So the events ahead
//! are reckoned by how many there were up to here.

use crate::status::Status;
use event_store::{Direction, EventStore, Start};
use service_kit::clock;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often it is asked where the log ends, while more may be to come than was heard; and how long that may take.
const ASKING: Duration = Duration::from_secs(1);

/// What is known of the log from the checkpoint to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ahead {
    from: u64,
    heard: u64,
    last: u64,
    /// What was not heard was stored after this moment, in microseconds.
    heard_until: Option<i64>,
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
        self.heard_until = Some(created_micros);
    }

    /// At that moment, the log ended here.
    pub(crate) fn ended_at(&mut self, position: u64, micros: i64) {
        self.end = position;
        if position <= self.last {
            self.heard_all(micros);
        }
    }

    /// All that was stored up to that moment was heard.
    pub(crate) fn heard_all(&mut self, micros: i64) {
        self.heard_until = Some(micros);
    }

    /// A moment before everything that was not heard was stored.
    pub(crate) fn heard_until(&self) -> Option<i64> {
        self.heard_until
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

/// Asks the store where its log ends and has the metrics told, for ever and beside all shifts: what was heard is a small
/// part of the log while history is read, and nothing of what comes while nobody writes.
pub(crate) async fn look<Store: EventStore>(store: &Store, status: &Status) -> Infallible {
    let mut turns = tokio::time::interval(ASKING);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if status.wants_the_end() {
            let asked = clock::unix_micros();
            let last =
                tokio::time::timeout(ASKING, store.read_all(Start::End, Direction::Backwards, 1)).await;
            // One that does not answer is found lost by those who follow it.
            if let Ok(Ok(last)) = last {
                status.ended_at(last.first().map_or(0, |event| event.position.0), asked);
            }
        }
        status.measure();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_ahead_are_reckoned_by_how_many_there_were_up_to_here() {
        let mut ahead = Ahead::default().after(1_000);
        assert_eq!(ahead.events(), 0);
        ahead.ended_at(1_000, 7);
        assert_eq!((ahead.events(), ahead.heard_until()), (0, Some(7)), "an idle store");
        ahead.ended_at(21_000, 8);
        assert_eq!((ahead.events(), ahead.heard_until()), (1, Some(7)), "at least");
        // Positions that count bytes, ten of them for each event.
        (1..=100).for_each(|event| ahead.heard(1_000 + 10 * event, event.cast_signed()));
        assert_eq!((ahead.events(), ahead.heard_until()), (1_900, Some(100)));
        ahead.heard(30_000, 101);
        assert_eq!(ahead.events(), 0, "heard further than was asked");
    }
}
