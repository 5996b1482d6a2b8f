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
use ask::{Asked, GivenUp, Stage};
use domain::{Command, Persist};
use event_store::EventStore;
use lines::Lines;
pub(crate) use outcome::{Answer, Failure, Outcome};
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
        self.begin(command.clone(), intention.clone()).answer().await
    }

    /// Puts `command` in the line of its stream; those put there before it are decided before it. It is given up when
    /// what this returns is dropped; what was sent by then may be booked all the same.
    pub(crate) fn begin<C: Command<State = A> + 'static>(
        &self,
        command: C,
        intention: Intention,
    ) -> Waiting<A, C::Refusal> {
        let stream = command.stream();
        let stage = Arc::new(Stage::default());
        let (sender, answer) = oneshot::channel();
        let ask = Asked::new(command, intention, Arc::clone(&stage), sender);
        if let Some((turn, known)) = self.lines.stand(&stream, Box::new(ask)) {
            tokio::spawn(work::work(self.store.clone(), turn, known));
        }
        Waiting { answer, stage, until: Instant::now() + self.deadline, deadline: self.deadline }
    }

    /// The last event of `stream`, if it has one.
    pub(crate) async fn last(&self, stream: &str) -> Result<Option<Moment<A>>, HistoryError> {
        let reading = history::last(&self.store, stream);
        let late = |_| Err(HistoryError::Unavailable(late(self.deadline)));
        tokio::time::timeout(self.deadline, reading).await.unwrap_or_else(late)
    }
}

/// A command that stands in line, or is worked on.
#[derive(Debug)]
pub(crate) struct Waiting<A, Refusal> {
    answer: oneshot::Receiver<Answer<A, Refusal>>,
    stage: Arc<Stage>,
    until: Instant,
    deadline: Duration,
}

impl<A, Refusal> Waiting<A, Refusal> {
    /// Waits for the answer, until the deadline.
    pub(crate) async fn answer(mut self) -> Answer<A, Refusal> {
        if let Ok(Ok(answer)) = tokio::time::timeout_at(self.until, &mut self.answer).await {
            return answer;
        }
        let given_up = self.stage.give_up();
        // It may have come just now.
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

fn late(deadline: Duration) -> String {
    format!("no answer within {} ms", deadline.as_millis())
}
