//! A circuit breaker: after some failures in a row nothing is sent any more, until a probe was answered. The probe is nobody's
//! command, so nobody waits for it. Appends are counted by themselves, too: a store may answer every read and be unable to
//! write.

use std::future::pending;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

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

/// What is asked of the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// To tell something.
    Read,
    /// To store something.
    Append,
}

/// The breaker in front of one dependency.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
    /// Where that stands, for those who wait for it to open.
    standing: watch::Sender<Position>,
    moved: fn(Position),
}

/// Whether calls go through, for those who have not called yet.
#[derive(Clone, Debug)]
pub(crate) struct Circuit(watch::Receiver<Position>);

impl Circuit {
    /// Waits until calls are turned away; not at all if they are.
    pub(crate) async fn opens(&self) {
        let is_gone = self.0.clone().wait_for(|position| *position != Position::Closed).await.is_err();
        if is_gone {
            pending::<()>().await;
        }
    }
}

#[derive(Debug)]
enum State {
    Closed(Failures),
    Open,
    HalfOpen,
}

/// How many calls failed in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    /// Of all calls.
    calls: u32,
    /// Of all appends, whatever became of the reads between them.
    appends: u32,
}

impl Failures {
    fn and(self, call: Call) -> Self {
        Self { calls: self.calls + 1, appends: self.appends + u32::from(call == Call::Append) }
    }

    fn but_for(self, answered: Call) -> Self {
        match answered {
            Call::Read => Self { calls: 0, ..self },
            Call::Append => Self::default(),
        }
    }

    fn are_too_many(self) -> bool {
        self.calls.max(self.appends) >= FAILURES
    }
}

impl Breaker {
    /// A closed one; `moved` is told whenever its position changes.
    pub(crate) fn new(moved: fn(Position)) -> Self {
        let (standing, _) = watch::channel(Position::Closed);
        Self { state: Mutex::new(State::Closed(Failures::default())), standing, moved }
    }

    /// What tells those who have not called yet whether they may.
    pub(crate) fn circuit(&self) -> Circuit {
        Circuit(self.standing.subscribe())
    }

    /// Where it stands.
    pub(crate) fn position(&self) -> Position {
        position(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A call got an answer of the dependency, whatever it was.
    pub(crate) fn answered(&self, call: Call) {
        self.change(|state| match *state {
            State::Closed(failures) => ((), Some(State::Closed(failures.but_for(call)))),
            // What began before it opened says nothing new.
            State::Open | State::HalfOpen => ((), None),
        });
    }

    /// A call got none. Answers whether that has opened it: then somebody has to probe, until there is an answer.
    #[must_use]
    pub(crate) fn failed(&self, call: Call) -> bool {
        self.change(|state| match *state {
            State::Closed(failures) if failures.and(call).are_too_many() => (true, Some(State::Open)),
            State::Closed(failures) => (false, Some(State::Closed(failures.and(call)))),
            State::Open | State::HalfOpen => (false, None),
        })
    }

    /// A probe is about to be sent. Answers false if none is needed: it is closed, or one is under way.
    #[must_use]
    pub(crate) fn half_open(&self) -> bool {
        self.change(|state| match state {
            State::Open => (true, Some(State::HalfOpen)),
            State::Closed(_) | State::HalfOpen => (false, None),
        })
    }

    /// The probe got an answer.
    pub(crate) fn probed(&self) {
        self.change(|_| ((), Some(State::Closed(Failures::default()))));
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
                self.standing.send_replace(after);
            }
        }
        answer
    }
}

fn position(state: &State) -> Position {
    match state {
        State::Closed(_) => Position::Closed,
        State::Open => Position::Open,
        State::HalfOpen => Position::HalfOpen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::pin::pin;

    fn opened() -> Breaker {
        let breaker = Breaker::new(|_| {});
        assert_eq!((0..FAILURES).filter(|_| breaker.failed(Call::Read)).count(), 1);
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let breaker = Breaker::new(|_| {});
        for _ in 0..FAILURES {
            assert!((1..FAILURES).all(|_| !breaker.failed(Call::Read)));
            breaker.answered(Call::Read);
            assert!((1..FAILURES).all(|_| !breaker.failed(Call::Append)));
            breaker.answered(Call::Append);
        }
        assert_eq!(breaker.position(), Position::Closed);
        assert_eq!(opened().position(), Position::Open);
    }

    #[test]
    fn reads_that_are_answered_do_not_hide_that_appends_are_not() {
        let breaker = Breaker::new(|_| {});
        for _ in 1..FAILURES {
            assert!(!breaker.failed(Call::Append));
            breaker.answered(Call::Read);
        }
        assert!(breaker.failed(Call::Append));
        // Neither do those that come late.
        breaker.answered(Call::Read);
        breaker.answered(Call::Append);
        assert_eq!(breaker.position(), Position::Open);
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let breaker = opened();
        assert!(breaker.half_open());
        assert!(!breaker.half_open());
        breaker.probed_in_vain();
        assert_eq!(breaker.position(), Position::Open);
        assert!(breaker.half_open());
        breaker.probed();
        assert_eq!(breaker.position(), Position::Closed);
        assert!(!breaker.half_open());
        breaker.probed_in_vain();
        assert_eq!(breaker.position(), Position::Closed);
    }

    #[test]
    fn who_has_not_called_yet_learns_when_calls_are_turned_away_and_only_then() {
        let breaker = Breaker::new(|_| {});
        let circuit = breaker.circuit();
        let mut opens = pin!(circuit.opens());
        assert_eq!((1..FAILURES).filter(|_| breaker.failed(Call::Read)).count(), 0);
        assert_eq!(opens.as_mut().now_or_never(), None);
        assert!(breaker.failed(Call::Read));
        assert_eq!(opens.now_or_never(), Some(()));
        // While it is probed, too.
        assert!(breaker.half_open());
        assert_eq!(circuit.opens().now_or_never(), Some(()));
        breaker.probed();
        assert_eq!(circuit.opens().now_or_never(), None);
    }

    #[test]
    fn what_fails_while_it_is_open_asks_for_no_second_prober() {
        let breaker = opened();
        assert!((0..FAILURES).all(|_| !breaker.failed(Call::Append)));
        assert!(breaker.half_open());
        assert!((0..FAILURES).all(|_| !breaker.failed(Call::Append)));
        assert_eq!(breaker.position(), Position::HalfOpen);
    }
}
