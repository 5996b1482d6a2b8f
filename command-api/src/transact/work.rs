//! The one loop of the command side: load, decide, append, and again on a conflict.
//!
//! What is known of a stream is believed until something shows that it is old: the append, which names the revision
//! it believes in, or a refusal, which is only given on a state that was read, or proved by an append, after the command
//! came in.

use super::ask::{Ask, Verdict};
use super::draft::{Draft, MOST_EVENTS};
use super::lines::Turn;
use super::outcome::Failure;
use super::repeat;
use crate::history::{self, Contention, HistoryError, Loaded};
use crate::identity::Fingerprint;
use domain::Persist;
use event_store::{AppendError, EventStore, Expected};
use service_kit::metrics::Counter;
use service_kit::traces::{Role, Span};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

static LOADS: Counter<1> = Counter::new(
    "command_loads_total",
    "How often the state that commands were decided on was in memory, or had to be read from the event store.",
    ["from"],
);
static CONFLICTS: Counter<0> = Counter::new(
    "command_conflicts_total",
    "Appends that another writer was faster than, so that their commands were decided again.",
    [],
);

/// How long a stream counts as one that others work on, too, after the last sign of it.
const CONTENDED_FOR: Duration = Duration::from_secs(1);

/// How long others get their turn: so many times what an append takes, and within these bounds. A process that was
/// too late needs two calls, to read what came and to append; one that appends again at once would win every time.
const TURN_APPENDS: u32 = 3;
const SHORTEST_TURN: Duration = Duration::from_millis(1);
const LONGEST_TURN: Duration = Duration::from_millis(20);

type Asks<A> = Vec<Box<dyn Ask<A>>>;

/// Works on a stream until nobody stands in line any more.
pub(super) async fn work<A: Persist>(
    store: impl EventStore,
    mut turn: Turn<A>,
    mut known: Option<Loaded<A>>,
) {
    let stream = Arc::clone(turn.stream());
    loop {
        if let Some(contention) = known.as_ref().and_then(|loaded| loaded.contention.as_ref()) {
            tokio::time::sleep_until(contention.theirs).await;
        }
        let asks = turn.next(MOST_EVENTS, &mut known);
        if asks.is_empty() {
            return;
        }
        known = Work { store: &store, stream: &stream, fresh: false }.settle(asks, known).await;
    }
}

/// The work on one group of commands.
struct Work<'a, S> {
    store: &'a S,
    stream: &'a Arc<str>,
    /// Whether the state is known to have been the last one at some time after all of the group came in.
    fresh: bool,
}

/// What an attempt leaves to do.
enum Attempted<A: Persist> {
    /// The draft's commands are answered.
    Settled,
    /// Nothing was booked: decide again.
    Again(Asks<A>),
    /// Nobody knows what is booked of the draft, or nothing is; its commands are answered.
    Failed(Failure<()>),
}

impl<S: EventStore> Work<'_, S> {
    /// Answers all of them, and hands on what is known of the stream.
    async fn settle<A: Persist>(
        &mut self,
        mut asks: Asks<A>,
        mut known: Option<Loaded<A>>,
    ) -> Option<Loaded<A>> {
        loop {
            asks.retain(|ask| !ask.stage().is_given_up());
            if asks.is_empty() {
                return known;
            }
            let mut loaded = match self.load(reach(&asks), known.take()).await {
                Ok(loaded) => loaded,
                Err(error) => {
                    fail_all(asks, &Failure::from(&error));
                    return None;
                }
            };
            let repeats = repeat::take_out(&mut asks, &loaded);
            repeat::answer(self.store, self.stream, repeats);
            if asks.is_empty() {
                return Some(loaded);
            }

            let draft = Draft::of(&mut asks, &loaded);
            if draft.has_no_events() && !self.fresh {
                // Nothing will prove the state that they are decided on.
                match self.catch_up(&mut loaded).await {
                    Ok(_) => known = Some(loaded),
                    Err(error) => {
                        fail_all(asks, &Failure::from(&error));
                        return None;
                    }
                }
                continue;
            }
            let rest = asks.split_off(draft.len());
            match self.attempt(draft, asks, loaded, &mut known).await {
                Attempted::Settled => asks = rest,
                Attempted::Again(again) => asks = again.into_iter().chain(rest).collect(),
                Attempted::Failed(failure) => {
                    // They came later than what may come again, and must not overtake it.
                    fail_all(rest, &failure);
                    return known;
                }
            }
        }
    }

    /// What is known, if that reaches far enough back, else what the store says.
    async fn load<A: Persist>(
        &mut self,
        reach: u64,
        known: Option<Loaded<A>>,
    ) -> Result<Loaded<A>, HistoryError> {
        if let Some(mut loaded) = known.filter(|loaded| covers(loaded, reach)) {
            if loaded.contention.as_ref().is_some_and(|contention| contention.until > Instant::now())
                && !self.fresh
            {
                self.catch_up(&mut loaded).await?;
            }
            // The keys that came may have taken the place of those that are asked for.
            if covers(&loaded, reach) {
                LOADS.of(["memory".into()]).increment(1);
                return Ok(loaded);
            }
        }
        LOADS.of(["store".into()]).increment(1);
        self.fresh = true;
        // Seldom: boxed, it takes no room in the task of each command.
        Box::pin(history::load(self.store, self.stream, reach)).await
    }

    async fn catch_up<A: Persist>(&mut self, loaded: &mut Loaded<A>) -> Result<bool, HistoryError> {
        let found_any = Box::pin(history::catch_up(self.store, self.stream, loaded)).await?;
        self.fresh = true;
        Ok(found_any)
    }

    /// Sends the draft, if there is anything to send, and answers its `asks`, unless they have to be decided again.
    async fn attempt<A: Persist>(
        &mut self,
        draft: Draft<A>,
        asks: Asks<A>,
        mut loaded: Loaded<A>,
        known: &mut Option<Loaded<A>>,
    ) -> Attempted<A> {
        let before = loaded.last;
        if draft.has_no_events() {
            *known = Some(loaded);
            tell(asks, draft.settled(before, None));
            return Attempted::Settled;
        }
        if !draft.send(&asks) {
            *known = Some(loaded);
            return Attempted::Again(asks);
        }
        let events = draft.encode(self.stream, &asks, &loaded.state);
        let expected = before.map_or(Expected::NoStream, |last| Expected::Revision(last.revision));
        let mut span = self.span(&asks, events.len());
        let began = Instant::now();
        let error = match self.store.append(self.stream, expected, events).await {
            Ok(appended) => {
                // Everything that was decided on the state before is proved by the append.
                self.fresh = true;
                drop(span);
                // What nobody heard may be asked for again, so they are told before it is known what to remember.
                let keys = tell(asks, draft.settled(before, Some(appended)));
                loaded = draft.onto(loaded, &keys, appended);
                loaded.contention = take_turns(loaded.contention.take(), began);
                *known = Some(loaded);
                return Attempted::Settled;
            }
            Err(error) => error,
        };
        span.failed(&error.to_string());
        drop(span);
        // What depends on the events that were sent is not decided.
        let (failure, undecided) = match error {
            AppendError::Conflict { .. } => {
                CONFLICTS.of([]).increment(1);
                asks.iter().for_each(|ask| ask.stage().conflicted());
                match self.catch_up(&mut loaded).await {
                    // If nothing came after what we know, the stream is not the one we know: it is loaded anew.
                    Ok(found_any) => *known = found_any.then(|| contended(loaded)),
                    Err(error) => {
                        let failure = Failure::from(&error);
                        fail_all(asks, &failure);
                        return Attempted::Failed(failure);
                    }
                }
                return Attempted::Again(asks);
            }
            AppendError::OutcomeUnknown(reason) => {
                (Failure::OutcomeUnknown(reason.clone()), Failure::Unavailable(reason))
            }
            AppendError::Unavailable(reason) => {
                *known = Some(loaded);
                (Failure::Unavailable(reason.clone()), Failure::Unavailable(reason))
            }
            AppendError::Refused(reason) => {
                *known = Some(loaded);
                (Failure::StoreRefused(reason.clone()), Failure::StoreRefused(reason))
            }
            // It is forgotten: whoever comes next learns the same by reading.
            AppendError::Deleted => (Failure::Deleted, Failure::Deleted),
        };
        tell(asks, draft.failed(before, self.fresh, &failure, &undecided));
        Attempted::Failed(undecided)
    }
}

impl<S> Work<'_, S> {
    /// The append of so many events, in the trace of each command that has part in it.
    fn span<A: Persist>(&self, asks: &Asks<A>, events: usize) -> Span {
        let traces = asks.iter().filter_map(|ask| ask.intention().provenance.traceparent.as_deref());
        let mut span = Span::begin("command-api", Role::Asks, || format!("append {}", self.stream), traces);
        span.set("bookstock.events", i64::try_from(events).unwrap_or(i64::MAX));
        span
    }
}

/// How far back the keys have to be known, so that a repeat among `asks` is recognised.
fn reach<A: Persist>(asks: &Asks<A>) -> u64 {
    let reaches = asks.iter().filter(|ask| ask.repeats().is_some()).map(|ask| ask.intention().reach);
    reaches.max().unwrap_or_default()
}

fn covers<A: Persist>(loaded: &Loaded<A>, reach: u64) -> bool {
    reach == 0 || loaded.last.is_none_or(|last| loaded.recent.covers(last.revision, reach))
}

fn contended<A: Persist>(mut loaded: Loaded<A>) -> Loaded<A> {
    let now = Instant::now();
    loaded.contention = Some(Box::new(Contention { until: now + CONTENDED_FOR, theirs: now }));
    loaded
}

/// After an append to a stream that others work on, too, it is their turn.
fn take_turns(contention: Option<Box<Contention>>, began: Instant) -> Option<Box<Contention>> {
    let now = Instant::now();
    let contention = contention.filter(|contention| contention.until > now)?;
    let turn = (now - began).saturating_mul(TURN_APPENDS).clamp(SHORTEST_TURN, LONGEST_TURN);
    Some(Box::new(Contention { theirs: now + turn, ..*contention }))
}

/// Tells each its verdict; returns the keys that may be sent again.
fn tell<A: Persist>(asks: Asks<A>, verdicts: Vec<Verdict<A>>) -> Vec<Option<Fingerprint>> {
    asks.into_iter().zip(verdicts).map(|(ask, verdict)| ask.answer(verdict)).collect()
}

fn fail_all<A: Persist>(asks: Asks<A>, failure: &Failure<()>) {
    for ask in asks {
        ask.answer(Err(failure.clone()));
    }
}
