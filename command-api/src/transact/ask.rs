//! A command in the line of its stream: what those who work on the line see of it, whatever its type.

use super::outcome::Answer;
use crate::identity::{CommandHash, Fingerprint, fingerprint};
use crate::intention::Intention;
use domain::{Command, Persist};
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use tokio::sync::oneshot;

/// What became of a command. The refusal itself stays with the command, which alone knows its type.
pub(super) type Verdict<A> = Answer<A, ()>;

/// A command that waits for its verdict.
pub(super) trait Ask<A: Persist>: Send {
    /// The circumstances.
    fn intention(&self) -> &Intention;

    /// What tells it from other commands under the same key.
    fn hash(&self) -> CommandHash;

    /// What its repeats are found by, if it can be one: nobody else knows a key that was made here.
    fn repeats(&self) -> Option<Fingerprint>;

    /// How far it has come.
    fn stage(&self) -> &Stage;

    /// Decides on `state`, and remembers the refusal if it is one.
    fn decide(&mut self, state: &A) -> Result<Vec<A::Event>, ()>;

    /// Tells the verdict to whoever waits for it. Returns what its repeats will be found by, if there can be any: a key that
    /// was made here is known to nobody, unless nobody heard the verdict; who stopped waiting may have been told the key
    /// instead.
    fn answer(self: Box<Self>, verdict: Verdict<A>) -> Option<Fingerprint>;
}

/// A command of type `C`, asked for.
pub(super) struct Asked<C: Command> {
    command: C,
    hash: CommandHash,
    repeats: Option<Fingerprint>,
    intention: Intention,
    refusal: Option<C::Refusal>,
    stage: Arc<Stage>,
    answer: oneshot::Sender<Answer<C::State, C::Refusal>>,
}

impl<C: Command> Asked<C> {
    /// Asks for `command`, and answers through `answer`.
    pub(super) fn new(
        command: C,
        intention: Intention,
        stage: Arc<Stage>,
        answer: oneshot::Sender<Answer<C::State, C::Refusal>>,
    ) -> Self {
        let hash = CommandHash::of(&command);
        let repeats = intention.key.is_from_client().then(|| fingerprint(intention.key.as_str()));
        Self { command, hash, repeats, intention, refusal: None, stage, answer }
    }
}

impl<C: Command> Ask<C::State> for Asked<C> {
    fn intention(&self) -> &Intention {
        &self.intention
    }

    fn hash(&self) -> CommandHash {
        self.hash
    }

    fn repeats(&self) -> Option<Fingerprint> {
        self.repeats
    }

    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn decide(&mut self, state: &C::State) -> Result<Vec<domain::decider::Event<C>>, ()> {
        self.command.decide(state).map_err(|refusal| self.refusal = Some(refusal))
    }

    fn answer(self: Box<Self>, verdict: Verdict<C::State>) -> Option<Fingerprint> {
        let Self { refusal, answer, repeats, intention, .. } = *self;
        let verdict = verdict.map_err(|failure| failure.with_refusal(refusal));
        match answer.send(verdict) {
            Ok(()) => repeats,
            Err(_) => repeats.or_else(|| Some(fingerprint(intention.key.as_str()))),
        }
    }
}

/// How far a command has come. Those who wait for it and those who work on it change it, each in one step, so that
/// they always agree on whether it was sent.
#[derive(Debug, Default)]
pub(super) struct Stage(AtomicU8);

/// In line: nothing of it has been sent.
const WAITING: u8 = 0;
/// In line again: what was sent conflicted, so nothing of it is booked.
const CONTENDED: u8 = 1;
/// Its events are on their way, or they are booked.
const SENT: u8 = 2;
/// Nobody waits for it any more.
const GIVEN_UP: u8 = 3;

/// How far a command had come when it was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// It never left, and now never will.
    Waiting,
    /// It conflicted, and now will not be tried again.
    Contended,
    /// It may be booked.
    Sent,
}

impl Stage {
    /// It is about to be sent, unless it was given up: then it must not be.
    pub(super) fn send(&self) -> bool {
        let sent = |stage| (stage != GIVEN_UP).then_some(SENT);
        self.0.fetch_update(AcqRel, Acquire, sent).is_ok()
    }

    /// What was sent is surely not booked.
    pub(super) fn conflicted(&self) {
        let _ = self.0.compare_exchange(SENT, CONTENDED, AcqRel, Acquire);
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.load(Acquire) == GIVEN_UP
    }

    /// Nobody waits for it any more, unless it was sent. Answers whether it is so: then it never will be.
    pub(super) fn take_back(&self) -> bool {
        let taken_back = |stage| (stage != SENT).then_some(GIVEN_UP);
        self.0.fetch_update(AcqRel, Acquire, taken_back).is_ok()
    }

    /// Nobody waits for it any more.
    pub(super) fn give_up(&self) -> GivenUp {
        match self.0.swap(GIVEN_UP, AcqRel) {
            WAITING => GivenUp::Waiting,
            CONTENDED => GivenUp::Contended,
            _ => GivenUp::Sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Outcome;
    use super::super::testing::{asked, correct};
    use super::*;
    use domain::book::Book;

    fn booked() -> Verdict<Book> {
        Ok(Outcome { state: Book::Unknown, last: None, repeated: false })
    }

    #[test]
    fn a_key_made_here_is_remembered_if_nobody_heard_the_verdict_and_only_then() {
        let ask = |key: Option<&str>| {
            let (sender, answer) = oneshot::channel();
            let intention = asked(correct(1), key, &[]).intention().clone();
            let made = fingerprint(intention.key.as_str());
            (Box::new(Asked::new(correct(1), intention, Arc::default(), sender)), answer, made)
        };
        let (heard, _answer, _) = ask(None);
        assert_eq!(heard.answer(booked()), None);
        let (unheard, mut answer, made) = ask(None);
        answer.close();
        assert_eq!(unheard.answer(booked()), Some(made));
        let (keyed, _answer, given) = ask(Some("k"));
        assert_eq!(keyed.answer(booked()), Some(given));
    }

    #[test]
    fn what_was_given_up_before_it_was_sent_is_never_sent() {
        let stage = Stage::default();
        assert_eq!(stage.give_up(), GivenUp::Waiting);
        assert!(!stage.send());
        assert!(stage.is_given_up());
        let stage = Stage::default();
        assert!(stage.take_back());
        assert!(!stage.send());
    }

    #[test]
    fn after_a_conflict_it_counts_as_not_sent_until_it_is_sent_again() {
        let stage = Stage::default();
        assert!(stage.send());
        stage.conflicted();
        assert!(stage.send());
        stage.conflicted();
        assert_eq!(stage.give_up(), GivenUp::Contended);
        stage.conflicted();
        assert!(!stage.send());
    }

    #[test]
    fn what_is_on_its_way_may_be_booked_and_cannot_be_taken_back() {
        let stage = Stage::default();
        assert!(stage.send());
        assert!(!stage.take_back());
        assert_eq!(stage.give_up(), GivenUp::Sent);
    }
}
