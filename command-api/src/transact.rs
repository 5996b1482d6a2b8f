//! Commands on streams: the only place that loads, decides and appends.
//!
//! Each command stands in the line of its stream. One task works on a stream at a time: it takes who stands in line,
//! decides them one after the other, and appends all of their events at once; each gets its own answer. So the commands
//! of one process for a hot stream neither conflict nor wait for an append each, and several processes stay right by the
//! expected revision.

mod ask;
mod draft;
mod lines;
mod outcome;
mod repeat;
#[cfg(test)]
mod testing;
mod work;

use crate::history::{self, HistoryError, Moment};
use crate::intention::Intention;
use crate::sick::breaker::Circuit;
use ask::{Ask, Asked, GivenUp, Stage};
use domain::{Command, Persist};
use event_store::EventStore;
use lines::Lines;
pub(crate) use outcome::{Answer, Failure, Outcome};
use std::collections::VecDeque;
use std::future::pending;
use std::iter;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The streams of one kind of state in one store, open for commands.
pub(crate) struct Transact<S, A: Persist> {
    store: S,
    circuit: Circuit,
    deadline: Duration,
    lines: Arc<Lines<A>>,
}

impl<S: EventStore, A: Persist> Transact<S, A> {
    /// Commands on the streams of `store`, which is cut off when `circuit` opens, each answered within `deadline`. What is
    /// known of the streams is kept in about `budget_bytes` of memory; `heap_bytes` tells what a state holds outside of
    /// itself.
    pub(crate) fn new(
        store: S,
        circuit: Circuit,
        deadline: Duration,
        budget_bytes: usize,
        heap_bytes: fn(&A) -> usize,
    ) -> Self {
        Self { store, circuit, deadline, lines: Arc::new(Lines::new(budget_bytes, heap_bytes)) }
    }

    /// Carries out `command`, once per key of its intention: a repeat is answered as the first time. It is answered by the
    /// time that is `due`, if that is before the deadline.
    pub(crate) async fn run<C: Command<State = A> + Clone + 'static>(
        &self,
        command: &C,
        intention: &Intention,
        due: Option<Instant>,
    ) -> Answer<A, C::Refusal> {
        let left = due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now()));
        let (ask, waiting) = self.ask(command.clone(), intention.clone(), self.deadline.min(left));
        let is_behind = self.stand(&command.stream(), [ask]);
        waiting.answer(is_behind.then_some(&self.circuit)).await
    }

    /// Carries out `commands`, which are all for `stream`, one after the other and in as few appends as possible. None is
    /// booked after one before it that was not, but still may be.
    pub(crate) async fn run_together<C: Command<State = A> + 'static>(
        &self,
        stream: &str,
        commands: Vec<(C, Intention)>,
    ) -> Vec<Answer<A, C::Refusal>> {
        let ask = |(command, intention)| self.ask(command, intention, self.deadline);
        let asked = commands.into_iter().map(ask);
        let (asks, chain): (Vec<_>, VecDeque<_>) = asked.unzip();
        let is_behind = self.stand(stream, asks);
        Chain(chain).answers(is_behind.then_some(&self.circuit)).await
    }

    /// A command, as it stands in line and as it is waited for until its `deadline`.
    fn ask<C: Command<State = A> + 'static>(
        &self,
        command: C,
        intention: Intention,
        deadline: Duration,
    ) -> (Box<dyn Ask<A>>, Waiting<A, C::Refusal>) {
        let stage = Arc::new(Stage::default());
        let (sender, answer) = oneshot::channel();
        let ask = Asked::new(command, intention, Arc::clone(&stage), sender);
        (Box::new(ask), Waiting { answer, stage, until: Instant::now() + deadline, deadline })
    }

    /// Puts `asks` in the line of `stream`; those put there before them are decided before them. Answers whether somebody
    /// works there already: they stand behind a call that may hang, whereas one of their own is turned away at once if the
    /// circuit is open.
    fn stand(&self, stream: &str, asks: impl IntoIterator<Item = Box<dyn Ask<A>>>) -> bool {
        let turn = self.lines.stand(stream, asks);
        let is_behind = turn.is_none();
        if let Some((turn, known)) = turn {
            tokio::spawn(work::work(self.store.clone(), turn, known));
        }
        is_behind
    }

    /// The last event of `stream`, if it has one.
    pub(crate) async fn last(&self, stream: &str) -> Result<Option<Moment<A>>, HistoryError> {
        let reading = history::last(&self.store, stream);
        let late = |_| Err(HistoryError::Unavailable(late(self.deadline)));
        tokio::time::timeout(self.deadline, reading).await.unwrap_or_else(late)
    }
}

/// A command that stands in line, or is worked on. It is given up when this is dropped; what was sent by then may be
/// booked all the same.
#[derive(Debug)]
struct Waiting<A, Refusal> {
    answer: oneshot::Receiver<Answer<A, Refusal>>,
    stage: Arc<Stage>,
    until: Instant,
    deadline: Duration,
}

impl<A, Refusal> Waiting<A, Refusal> {
    /// Waits for the answer, until the deadline; before it is sent no longer than until `circuit` opens.
    async fn answer(mut self, circuit: Option<&Circuit>) -> Answer<A, Refusal> {
        let answer = tokio::select! {
            biased;
            answer = self.in_time() => answer,
            () = opens(circuit) => {
                if self.stage.take_back() {
                    return self.turned_away();
                }
                self.in_time().await
            }
        };
        answer.unwrap_or_else(|| self.too_late())
    }

    async fn in_time(&mut self) -> Option<Answer<A, Refusal>> {
        tokio::time::timeout_at(self.until, &mut self.answer).await.ok()?.ok()
    }

    /// Gives it up, and answers what is known of it.
    fn too_late(mut self) -> Answer<A, Refusal> {
        let given_up = self.stage.give_up();
        self.last_moment().unwrap_or_else(|| {
            Err(match given_up {
                GivenUp::Waiting => Failure::Unavailable(late(self.deadline)),
                GivenUp::Contended => Failure::Contended,
                GivenUp::Sent => Failure::OutcomeUnknown(late(self.deadline)),
            })
        })
    }

    /// Answers, of one that was taken back, that nothing was booked.
    fn turned_away(mut self) -> Answer<A, Refusal> {
        let reason = "the circuit opened or is open, and this stood in line";
        self.last_moment().unwrap_or_else(|| Err(Failure::Unavailable(reason.to_owned())))
    }

    /// The answer, if it came just now. From here on none can come: so whoever has one knows that nobody heard it.
    fn last_moment(&mut self) -> Option<Answer<A, Refusal>> {
        self.answer.close();
        self.answer.try_recv().ok()
    }
}

impl<A, Refusal> Drop for Waiting<A, Refusal> {
    fn drop(&mut self) {
        self.stage.give_up();
    }
}

/// Commands that stand in line together, in their order. They are given up from the last to the first, so that at no time
/// one can be sent after another before it was given up.
struct Chain<A, Refusal>(VecDeque<Waiting<A, Refusal>>);

impl<A, Refusal> Chain<A, Refusal> {
    /// Waits for the answer to each, until the deadline; before they are sent no longer than until `circuit` opens.
    async fn answers(mut self, circuit: Option<&Circuit>) -> Vec<Answer<A, Refusal>> {
        let (mut answers, mut turned_away) = (Vec::with_capacity(self.0.len()), Vec::new());
        tokio::select! {
            biased;
            () = self.in_time(&mut answers) => {}
            () = opens(circuit) => {
                turned_away = self.turn_away();
                self.in_time(&mut answers).await;
            }
        }
        let in_time = answers.len();
        answers.extend(iter::from_fn(|| self.0.pop_back()).map(Waiting::too_late));
        answers[in_time..].reverse();
        answers.extend(turned_away.into_iter().rev());
        answers
    }

    async fn in_time(&mut self, answers: &mut Vec<Answer<A, Refusal>>) {
        while let Some(first) = self.0.front_mut()
            && let Some(answer) = first.in_time().await
        {
            answers.push(answer);
            self.0.pop_front();
        }
    }

    /// Takes back those that are not sent, the last one first.
    fn turn_away(&mut self) -> Vec<Answer<A, Refusal>> {
        iter::from_fn(|| self.0.pop_back_if(|last| last.stage.take_back()))
            .map(Waiting::turned_away)
            .collect()
    }
}

impl<A, Refusal> Drop for Chain<A, Refusal> {
    fn drop(&mut self) {
        while self.0.pop_back().is_some() {}
    }
}

/// Waits until `circuit` opens, if there is one to look at.
async fn opens(circuit: Option<&Circuit>) {
    match circuit {
        Some(circuit) => circuit.opens().await,
        None => pending().await,
    }
}

fn late(deadline: Duration) -> String {
    format!("no answer within {} ms", deadline.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sick::breaker::{Breaker, Call};
    use domain::book::Book;
    use futures_util::FutureExt as _;
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    type Sender = oneshot::Sender<Answer<Book, ()>>;

    /// A command in line, and what it is answered through.
    fn waiting(stage: &Arc<Stage>, until: Instant) -> (Waiting<Book, ()>, Sender) {
        let (sender, answer) = oneshot::channel();
        (Waiting { answer, stage: Arc::clone(stage), until, deadline: Duration::ZERO }, sender)
    }

    fn stages(count: usize) -> Vec<Arc<Stage>> {
        (0..count).map(|_| Arc::default()).collect()
    }

    fn open(breaker: &Breaker) {
        while !breaker.failed(Call::Append) {}
    }

    fn is_turned_away(answer: &Answer<Book, ()>) -> bool {
        matches!(answer, Err(Failure::Unavailable(_)))
    }

    #[test]
    fn while_a_chain_is_given_up_none_is_sent_after_another_that_was_not() {
        let breaker = Breaker::new(|_| {});
        open(&breaker);
        let circuit = breaker.circuit();
        for round in 0..150 {
            let stages = stages(10_000);
            // Who is turned away has time; the others' is over.
            let left = Duration::from_secs(if round % 3 == 0 { 600 } else { 0 });
            let until = Instant::now() + left;
            let (chain, senders): (VecDeque<_>, Vec<_>) =
                stages.iter().map(|stage| waiting(stage, until)).unzip();
            let chain = Chain(chain);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let begun = Arc::new(AtomicBool::new(false));
            let (begins, circuit) = (Arc::clone(&begun), circuit.clone());
            let giving_up = thread::spawn(move || {
                begins.store(true, Ordering::Release);
                match round % 3 {
                    0 => drop(runtime.block_on(chain.answers(Some(&circuit)))),
                    1 => drop(runtime.block_on(chain.answers(None))),
                    _ => drop(chain),
                }
            });
            while !begun.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let sent: Vec<_> = stages.iter().map(|stage| stage.send()).collect();
            // What was sent gets no answer.
            drop(senders);
            giving_up.join().unwrap();
            assert!(sent.is_sorted_by(|before, after| before >= after));
        }
    }

    #[tokio::test]
    async fn when_the_circuit_opens_what_stands_in_line_is_turned_away_and_what_was_sent_is_waited_for() {
        let breaker = Breaker::new(|_| {});
        let (circuit, stages, later) =
            (breaker.circuit(), stages(4), Instant::now() + Duration::from_secs(600));
        let (chain, mut senders): (VecDeque<_>, Vec<_>) =
            stages.iter().map(|stage| waiting(stage, later)).unzip();
        let mut answers = pin!(Chain(chain).answers(Some(&circuit)));
        assert!(stages[0].send() && stages[1].send());
        stages[1].conflicted();
        assert!(answers.as_mut().now_or_never().is_none());

        open(&breaker);
        assert!(answers.as_mut().now_or_never().is_none(), "the first is waited for");
        let given_up: Vec<_> = stages.iter().map(|stage| stage.is_given_up()).collect();
        assert_eq!(given_up, [false, true, true, true]);
        let booked = Outcome { state: Book::Unknown, last: None, repeated: false };
        senders.swap_remove(0).send(Ok(booked)).unwrap();
        let answers = answers.await;
        assert!(answers[0].is_ok(), "{answers:?}");
        assert_eq!(answers[1..].iter().map(is_turned_away).collect::<Vec<_>>(), [true; 3]);
    }

    #[tokio::test]
    async fn who_comes_to_a_line_while_the_circuit_is_open_is_turned_away_at_once() {
        let breaker = Breaker::new(|_| {});
        open(&breaker);
        let later = Instant::now() + Duration::from_secs(600);
        let (first, _sender) = waiting(&Arc::default(), later);
        assert!(first.answer(None).now_or_never().is_none(), "it learns that from its own call");
        let stage = Arc::default();
        let (behind, _sender) = waiting(&stage, later);
        let answer = behind.answer(Some(&breaker.circuit())).now_or_never();
        assert!(answer.as_ref().is_some_and(is_turned_away), "{answer:?}");
        assert!(!stage.send());
    }
}
