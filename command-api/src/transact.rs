//! The one loop of the command side: load, decide, append, and again on a conflict.
//!
//! What is known of a stream is believed until something shows that it is old: the append, which names the revision
//! it believes in, or a refusal, which is only given on a state that was read just now.

use crate::cache::Cache;
use crate::history::{self, HistoryError, Loaded, Moment, Reach};
use crate::identity::{CommandHash, event_id, fingerprint};
use crate::intention::Intention;
use crate::recent::Booked;
use bytes::Bytes;
use domain::decider::Event;
use domain::metadata::{Metadata, SCHEMA_VERSION};
use domain::{Command, Persist};
use event_store::{AppendError, Appended, EventStore, Expected, NewEvent};
use std::time::Duration;

/// The streams of one kind of state in one store, open for commands.
pub(crate) struct Transact<S, A> {
    store: S,
    deadline: Duration,
    cache: Cache<A>,
}

/// What a command led to.
#[derive(Debug)]
pub(crate) struct Outcome<A> {
    /// The state after the command's last event.
    pub(crate) state: A,
    /// Where that event is; none if the command found everything as it should be on a stream without events.
    pub(crate) last: Option<Appended>,
    /// Whether the command had been booked before, under the same key, and this is the first answer again.
    pub(crate) repeated: bool,
}

/// Why a command led to nothing, or to nobody knows what.
#[derive(Debug)]
pub(crate) enum Failure<Refusal> {
    /// The rule says no.
    Refused(Refusal),
    /// The client's condition does not hold of a stream at this revision.
    PreconditionFailed(Option<u64>),
    /// Another command was booked under the same key.
    KeyReused,
    /// The stream holds something that cannot be read.
    Unreadable(String),
    /// The store cannot be used. This try booked nothing.
    Unavailable(String),
    /// Others kept changing the stream. This try booked nothing.
    Contended,
    /// The events were sent, now or by an earlier try, and what became of them could not be learnt. Repeating the
    /// command is safe.
    OutcomeUnknown(String),
}

/// How far a command has come, for when its time is over.
#[derive(Debug, Default)]
struct Progress {
    /// Its events are on their way, or they are booked.
    may_be_booked: bool,
    /// Others were faster at least once.
    contended: bool,
}

impl<Refusal> From<HistoryError> for Failure<Refusal> {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Unavailable(reason) => Self::Unavailable(reason),
            HistoryError::Unreadable { .. } => Self::Unreadable(error.to_string()),
        }
    }
}

impl<S: EventStore, A: Persist> Transact<S, A> {
    /// Commands on the streams of `store`, each answered within `deadline`. What is known of the streams is kept in
    /// about `cache_bytes` of memory; `heap_bytes` tells what a state holds outside of itself.
    pub(crate) fn new(store: S, deadline: Duration, cache_bytes: u64, heap_bytes: fn(&A) -> usize) -> Self {
        Self { store, deadline, cache: Cache::new(cache_bytes, heap_bytes) }
    }

    /// Carries out `command`, once per key of its intention: a repeat is answered as the first time.
    pub(crate) async fn run<C: Command<State = A>>(
        &self,
        command: &C,
        intention: &Intention,
    ) -> Result<Outcome<A>, Failure<C::Refusal>> {
        let mut progress = Progress::default();
        let attempts = self.attempts(command, intention, &mut progress);
        match tokio::time::timeout(self.deadline, attempts).await {
            Ok(result) => result,
            Err(_) if progress.may_be_booked => Err(Failure::OutcomeUnknown(self.late())),
            Err(_) if progress.contended => Err(Failure::Contended),
            Err(_) => Err(Failure::Unavailable(self.late())),
        }
    }

    /// The last event of `stream`, if it has one.
    pub(crate) async fn last(&self, stream: &str) -> Result<Option<Moment<A>>, HistoryError> {
        let reading = history::last(&self.store, stream);
        let late = |_| Err(HistoryError::Unavailable(self.late()));
        tokio::time::timeout(self.deadline, reading).await.unwrap_or_else(late)
    }

    fn late(&self) -> String {
        format!("no answer within {} ms", self.deadline.as_millis())
    }

    /// Tries until the deadline. The future may be dropped anywhere: what is known of the stream is out of the cache
    /// meanwhile, so the next command reads it anew.
    async fn attempts<C: Command<State = A>>(
        &self,
        command: &C,
        intention: &Intention,
        progress: &mut Progress,
    ) -> Result<Outcome<A>, Failure<C::Refusal>> {
        let stream = command.stream();
        let hash = CommandHash::of(command);
        let may_repeat = intention.key.is_from_client().then(|| fingerprint(intention.key.as_str()));
        let entry = self.cache.entry(&stream).await;
        let mut known = entry.lock().await;
        let mut fresh = false;

        loop {
            let mut loaded = match known.take() {
                Some(loaded) if may_repeat.is_none() || reaches_over_the_window(&loaded) => loaded,
                _ => {
                    let reach = if may_repeat.is_some() { Reach::Window } else { Reach::LastEvent };
                    fresh = true;
                    history::load(&self.store, &stream, reach).await?
                }
            };

            if let Some(first) = may_repeat.and_then(|key| loaded.recent.find(key)) {
                *known = Some(loaded);
                drop(known);
                progress.may_be_booked = true;
                return self.repeat(&stream, first, hash).await;
            }

            let decision = decide(command, intention, &loaded);
            let events = match decision {
                Ok(events) if !events.is_empty() => events,
                settled if fresh => {
                    let outcome = Outcome { state: loaded.state.clone(), last: loaded.last, repeated: false };
                    *known = Some(loaded);
                    return settled.map(|_| outcome);
                }
                _ => {
                    history::catch_up(&self.store, &stream, &mut loaded).await?;
                    fresh = true;
                    *known = Some(loaded);
                    continue;
                }
            };

            let (state, events) = encode(&stream, loaded.state.clone(), &events, intention, hash);
            let expected = loaded.last.map_or(Expected::NoStream, |last| Expected::Revision(last.revision));
            progress.may_be_booked = true;
            match self.store.append(&stream, expected, events).await {
                Ok(last) => {
                    if let Some(key) = may_repeat {
                        let command = Some(hash.fingerprint());
                        loaded.recent.push(Booked { key, command, revision: last.revision });
                    }
                    let outcome = Outcome { state: state.clone(), last: Some(last), repeated: false };
                    let loaded = Loaded { state, last: Some(last), ..loaded };
                    self.cache.weigh(&stream, &entry, &loaded).await;
                    *known = Some(loaded);
                    return Ok(outcome);
                }
                // If nothing came after what we know, the stream is not the one we know: it is loaded anew.
                Err(AppendError::Conflict { .. }) => {
                    *progress = Progress { may_be_booked: false, contended: true };
                    if history::catch_up(&self.store, &stream, &mut loaded).await? {
                        fresh = true;
                        *known = Some(loaded);
                    }
                }
                Err(AppendError::OutcomeUnknown(reason)) => return Err(Failure::OutcomeUnknown(reason)),
                Err(AppendError::Unavailable(reason) | AppendError::Refused(reason)) => {
                    return Err(Failure::Unavailable(reason));
                }
            }
        }
    }

    /// The answer to the `first` command under a key again, if this is the same command.
    async fn repeat<Refusal>(
        &self,
        stream: &str,
        first: Booked,
        command: CommandHash,
    ) -> Result<Outcome<A>, Failure<Refusal>> {
        if first.command != Some(command.fingerprint()) {
            return Err(Failure::KeyReused);
        }
        match history::at(&self.store, stream, first.revision).await {
            Ok(Moment { state, at, .. }) => Ok(Outcome { state, last: Some(at), repeated: true }),
            // The command is booked, so it must not sound as if it were not.
            Err(HistoryError::Unavailable(reason)) => Err(Failure::OutcomeUnknown(reason)),
            Err(unreadable) => Err(unreadable.into()),
        }
    }
}

fn reaches_over_the_window<A>(loaded: &Loaded<A>) -> bool {
    loaded.last.is_none_or(|last| loaded.recent.covers(last.revision))
}

fn decide<C: Command>(
    command: &C,
    intention: &Intention,
    loaded: &Loaded<C::State>,
) -> Result<Vec<Event<C>>, Failure<C::Refusal>> {
    let current = loaded.last.map(|last| last.revision);
    if intention.precondition.is_some_and(|precondition| !precondition.holds(current)) {
        return Err(Failure::PreconditionFailed(current));
    }
    command.decide(&loaded.state).map_err(Failure::Refused)
}

/// The events as they are stored, and the state that they lead to.
#[allow(clippy::expect_used, reason = "metadata of numbers and strings always has a JSON form")]
fn encode<A: Persist>(
    stream: &str,
    state: A,
    events: &[A::Event],
    intention: &Intention,
    command: CommandHash,
) -> (A, Vec<NewEvent>) {
    let mut state = state;
    let stored = events.iter().enumerate().map(|(index, event)| {
        state = std::mem::take(&mut state).evolve(event);
        let (event_type, data) = A::encode(event);
        let metadata = Metadata {
            schema_version: SCHEMA_VERSION,
            after: state.after(),
            idempotency_key: intention.key.as_str().to_owned(),
            command_hash: command.to_hex(),
            actor: None,
            correlation_id: intention.request_id.clone(),
            causation_id: intention.request_id.clone(),
            traceparent: intention.traceparent.clone(),
        };
        NewEvent {
            id: event_id(stream, &intention.key, command, index),
            event_type: event_type.to_owned(),
            data: Bytes::from(data),
            metadata: Bytes::from(serde_json::to_vec(&metadata).expect("metadata is always JSON")),
        }
    });
    let stored = stored.collect();
    (state, stored)
}
