//! A circuit breaker: after some failures in a row nothing is tried any more, until a probe succeeds.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many failures in a row open it.
const FAILURES: u32 = 5;

/// How long it stays open before a probe.
const PAUSE: Duration = Duration::from_millis(500);

/// Where a breaker stands, as metrics and readiness tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// Calls go through.
    Closed,
    /// Calls are turned away.
    Open,
    /// One call is under way to find out; the others are turned away.
    HalfOpen,
}

impl Position {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// The breaker in front of one dependency.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
    moved: fn(Position),
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { since: Instant },
    HalfOpen { since: Instant },
}

impl Breaker {
    /// A closed one; `moved` is told whenever its position changes.
    pub(crate) fn new(moved: fn(Position)) -> Self {
        moved(Position::Closed);
        Self { state: Mutex::new(State::Closed { failures: 0 }), moved }
    }

    /// Where it stands.
    pub(crate) fn position(&self) -> Position {
        match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Closed { .. } => Position::Closed,
            State::Open { .. } => Position::Open,
            State::HalfOpen { .. } => Position::HalfOpen,
        }
    }

    /// Whether a call may go through at `now`. A probe of which nothing was heard gives way to the next one.
    pub(crate) fn lets_through(&self, now: Instant) -> bool {
        self.change(|state| match *state {
            State::Closed { .. } => (true, None),
            State::Open { since } | State::HalfOpen { since } if now.duration_since(since) < PAUSE => {
                (false, None)
            }
            State::Open { .. } | State::HalfOpen { .. } => (true, Some(State::HalfOpen { since: now })),
        })
    }

    /// A call got an answer of the dependency, whatever it was.
    pub(crate) fn answered(&self) {
        self.change(|_| ((), Some(State::Closed { failures: 0 })));
    }

    /// A call got none.
    pub(crate) fn failed(&self, now: Instant) {
        self.change(|state| {
            let next = match *state {
                State::Closed { failures } if failures + 1 < FAILURES => {
                    State::Closed { failures: failures + 1 }
                }
                // What began before it opened says nothing new.
                State::Open { since } => State::Open { since },
                State::Closed { .. } | State::HalfOpen { .. } => State::Open { since: now },
            };
            ((), Some(next))
        });
    }

    fn change<T>(&self, to: impl FnOnce(&State) -> (T, Option<State>)) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, next) = to(&state);
        if let Some(next) = next {
            let (before, after) = (position(&state), position(&next));
            *state = next;
            if before != after {
                (self.moved)(after);
            }
        }
        answer
    }
}

fn position(state: &State) -> Position {
    match state {
        State::Closed { .. } => Position::Closed,
        State::Open { .. } => Position::Open,
        State::HalfOpen { .. } => Position::HalfOpen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::new(|_| {});
        (0..FAILURES).for_each(|_| breaker.failed(now));
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let (breaker, now) = (Breaker::new(|_| {}), Instant::now());
        for _ in 0..FAILURES {
            (1..FAILURES).for_each(|_| breaker.failed(now));
            breaker.answered();
        }
        assert!(breaker.lets_through(now));
        assert_eq!(opened(now).position(), Position::Open);
        assert!(!opened(now).lets_through(now));
    }

    #[test]
    fn after_a_pause_one_probe_goes_through_and_decides() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + PAUSE;
        assert!(breaker.lets_through(later));
        assert!(!breaker.lets_through(later));
        breaker.failed(later);
        assert!(!breaker.lets_through(later));
        assert!(breaker.lets_through(later + PAUSE));
        breaker.answered();
        assert_eq!(breaker.position(), Position::Closed);
        assert!(breaker.lets_through(later + PAUSE));
    }

    #[test]
    fn a_probe_that_vanished_is_followed_by_another() {
        let now = Instant::now();
        let breaker = opened(now);
        assert!(breaker.lets_through(now + PAUSE));
        assert!(breaker.lets_through(now + PAUSE * 2));
    }
}
