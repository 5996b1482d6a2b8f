//! A circuit breaker: after some failures in a row nothing is sent any more, until a probe was answered. The probe is nobody's
//! command, so nobody waits for it.

use std::sync::{Mutex, PoisonError};

/// So many failures in a row open it.
const FAILURES: u32 = 5;

/// Where a breaker stands, as metrics and readiness tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// Calls go through.
    Closed,
    /// Calls are turned away.
    Open,
    /// A probe is under way to find out; calls are turned away.
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
    Open,
    HalfOpen,
}

impl Breaker {
    /// A closed one; `moved` is told whenever its position changes.
    pub(crate) fn new(moved: fn(Position)) -> Self {
        moved(Position::Closed);
        Self { state: Mutex::new(State::Closed { failures: 0 }), moved }
    }

    /// Where it stands.
    pub(crate) fn position(&self) -> Position {
        position(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A call, or a probe, got an answer of the dependency, whatever it was.
    pub(crate) fn answered(&self) {
        self.change(|_| ((), Some(State::Closed { failures: 0 })));
    }

    /// A call got none. Answers whether that has opened it: then somebody has to probe, until there is an answer.
    #[must_use]
    pub(crate) fn failed(&self) -> bool {
        self.change(|state| match *state {
            State::Closed { failures } if failures + 1 < FAILURES => {
                (false, Some(State::Closed { failures: failures + 1 }))
            }
            State::Closed { .. } => (true, Some(State::Open)),
            // What began before it opened says nothing new.
            State::Open | State::HalfOpen => (false, None),
        })
    }

    /// A probe is about to be sent. Answers false if none is needed: it is closed, or one is under way.
    #[must_use]
    pub(crate) fn half_open(&self) -> bool {
        self.change(|state| match state {
            State::Open => (true, Some(State::HalfOpen)),
            State::Closed { .. } | State::HalfOpen => (false, None),
        })
    }

    /// The probe got no answer.
    pub(crate) fn probed_in_vain(&self) {
        self.change(|state| ((), matches!(state, State::HalfOpen).then_some(State::Open)));
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
        State::Open => Position::Open,
        State::HalfOpen => Position::HalfOpen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let breaker = Breaker::new(|_| {});
        assert_eq!((0..FAILURES).filter(|_| breaker.failed()).count(), 1);
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let breaker = Breaker::new(|_| {});
        for _ in 0..FAILURES {
            assert!((1..FAILURES).all(|_| !breaker.failed()));
            breaker.answered();
        }
        assert_eq!(breaker.position(), Position::Closed);
        assert_eq!(opened().position(), Position::Open);
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let breaker = opened();
        assert!(breaker.half_open());
        assert!(!breaker.half_open());
        breaker.probed_in_vain();
        assert_eq!(breaker.position(), Position::Open);
        assert!(breaker.half_open());
        breaker.answered();
        assert_eq!(breaker.position(), Position::Closed);
        assert!(!breaker.half_open());
        breaker.probed_in_vain();
        assert_eq!(breaker.position(), Position::Closed);
    }

    #[test]
    fn what_fails_while_it_is_open_asks_for_no_second_prober() {
        let breaker = opened();
        assert!((0..FAILURES).all(|_| !breaker.failed()));
        assert!(breaker.half_open());
        assert!((0..FAILURES).all(|_| !breaker.failed()));
        assert_eq!(breaker.position(), Position::HalfOpen);
    }
}
