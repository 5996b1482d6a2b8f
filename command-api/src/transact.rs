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
use ask::{Ask, Asked, GivenUp, Stage};
use domain::{Command, Persist};
use event_store::EventStore;
use lines::Lines;
pub(crate) use outcome::{Answer, Failure, Outcome};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The streams of one kind of state in one store, open for commands.
pub(crate) struct Transact<S, A: Persist> {
    store: S,
    deadline: Duration,
    lines: Arc<Lines<A>>,
}

impl<S: EventStore, A: Persist> Transact<S, A> {
    /// Commands on the streams of `store`, each answered within `deadline`. What is known of the streams is kept in
    /// about `budget_bytes` of memory; `heap_bytes` tells what a state holds outside of itself.
    pub(crate) fn new(
        store: S,
        deadline: Duration,
        budget_bytes: usize,
        heap_bytes: fn(&A) -> usize,
    ) -> Self {
        Self { store, deadline, lines: Arc::new(Lines::new(budget_bytes, heap_bytes)) }
    }

    /// Carries out `command`, once per key of its intention: a repeat is answered as the first time.
    pub(crate) async fn run<C: Command<State = A> + Clone + 'static>(
        &self,
        command: &C,
        intention: &Intention,
    ) -> Answer<A, C::Refusal> {
        let until = Instant::now() + self.deadline;
        let (ask, waiting) = self.ask(command.clone(), intention.clone(), until);
        self.stand(&command.stream(), [ask]);
        waiting.answer().await
    }

    /// Carries out `commands`, which are all for `stream`, one after the other and in as few appends as possible. None is
    /// booked after one before it that was not, but still may be.
    pub(crate) async fn run_together<C: Command<State = A> + 'static>(
        &self,
        stream: &str,
        commands: Vec<(C, Intention)>,
    ) -> Vec<Answer<A, C::Refusal>> {
        let until = Instant::now() + self.deadline;
        let asked = commands.into_iter().map(|(command, intention)| self.ask(command, intention, until));
        let (asks, chain): (Vec<_>, VecDeque<_>) = asked.unzip();
        self.stand(stream, asks);
        Chain(chain).answers().await
    }

    /// A command, as it stands in line and as it is waited for.
    fn ask<C: Command<State = A> + 'static>(
        &self,
        command: C,
        intention: Intention,
        until: Instant,
    ) -> (Box<dyn Ask<A>>, Waiting<A, C::Refusal>) {
        let stage = Arc::new(Stage::default());
        let (sender, answer) = oneshot::channel();
        let ask = Asked::new(command, intention, Arc::clone(&stage), sender);
        (Box::new(ask), Waiting { answer, stage, until, deadline: self.deadline })
    }

    /// Puts `asks` in the line of `stream`; those put there before them are decided before them.
    fn stand(&self, stream: &str, asks: impl IntoIterator<Item = Box<dyn Ask<A>>>) {
        if let Some((turn, known)) = self.lines.stand(stream, asks) {
            tokio::spawn(work::work(self.store.clone(), turn, known));
        }
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
    /// Waits for the answer, until the deadline.
    async fn answer(mut self) -> Answer<A, Refusal> {
        match self.in_time().await {
            Some(answer) => answer,
            None => self.too_late(),
        }
    }

    async fn in_time(&mut self) -> Option<Answer<A, Refusal>> {
        tokio::time::timeout_at(self.until, &mut self.answer).await.ok()?.ok()
    }

    /// Gives it up, and answers what is known of it.
    fn too_late(mut self) -> Answer<A, Refusal> {
        let given_up = self.stage.give_up();
        // It may have come just now. From here on none can come: so whoever has one knows that nobody heard it.
        self.answer.close();
        if let Ok(answer) = self.answer.try_recv() {
            return answer;
        }
        Err(match given_up {
            GivenUp::Waiting => Failure::Unavailable(late(self.deadline)),
            GivenUp::Contended => Failure::Contended,
            GivenUp::Sent => Failure::OutcomeUnknown(late(self.deadline)),
        })
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
    /// Waits for the answer to each, until the deadline.
    async fn answers(mut self) -> Vec<Answer<A, Refusal>> {
        let mut answers = Vec::with_capacity(self.0.len());
        while let Some(first) = self.0.front_mut()
            && let Some(answer) = first.in_time().await
        {
            answers.push(answer);
            self.0.pop_front();
        }
        let in_time = answers.len();
        answers.extend(std::iter::from_fn(|| self.0.pop_back()).map(Waiting::too_late));
        answers[in_time..].reverse();
        answers
    }
}

impl<A, Refusal> Drop for Chain<A, Refusal> {
    fn drop(&mut self) {
        while self.0.pop_back().is_some() {}
    }
}

fn late(deadline: Duration) -> String {
    format!("no answer within {} ms", deadline.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::book::Book;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    #[test]
    fn while_a_chain_is_given_up_none_is_sent_after_another_that_was_not() {
        for round in 0..100 {
            let stages: Vec<_> = (0..10_000).map(|_| Arc::new(Stage::default())).collect();
            let waiting = |stage: &Arc<Stage>| Waiting::<Book, ()> {
                answer: oneshot::channel().1,
                stage: Arc::clone(stage),
                until: Instant::now(),
                deadline: Duration::ZERO,
            };
            let chain = Chain(stages.iter().map(waiting).collect());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let begun = Arc::new(AtomicBool::new(false));
            let begins = Arc::clone(&begun);
            let giving_up = thread::spawn(move || {
                begins.store(true, Ordering::Release);
                if round % 2 == 0 {
                    drop(chain);
                } else {
                    runtime.block_on(chain.answers());
                }
            });
            while !begun.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let sent: Vec<_> = stages.iter().map(|stage| stage.send()).collect();
            giving_up.join().unwrap();
            assert!(sent.is_sorted_by(|before, after| before >= after));
        }
    }
}
