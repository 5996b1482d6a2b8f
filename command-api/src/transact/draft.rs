//! What a group of commands comes to, before anything is sent: each is decided on the state that those before it
//! would lead to.

use super::ask::{Ask, Verdict};
use super::outcome::{Failure, Outcome};
use crate::history::Loaded;
use crate::identity::{Fingerprint, event_id};
use crate::recent::Booked;
use bytes::Bytes;
use domain::Persist;
use domain::metadata::{Metadata, SCHEMA_VERSION};
use event_store::{Appended, ContentType, NewEvent};
use std::collections::HashMap;

/// The most events in one append: with the longest names and reasons there are, they stay below the megabyte that
/// older servers take.
pub(super) const MOST_EVENTS: usize = 128;

/// The decisions on the first commands of a group, as many as one append can take.
pub(super) struct Draft<A: Persist> {
    decisions: Vec<Decision<A>>,
    events: Vec<A::Event>,
}

struct Decision<A> {
    what: What,
    /// The state after it.
    state: A,
    /// How many events there are up to it, its own included.
    events: usize,
}

enum What {
    /// It has events.
    Books {
        /// The fingerprint of the command.
        command: Fingerprint,
    },
    /// It has none: it is so already.
    Nothing,
    /// It is a repeat of another one in the group.
    Repeats {
        /// Which.
        first: usize,
    },
    /// It will not be booked.
    Fails(Failure<()>),
}

impl<A: Persist> Draft<A> {
    /// Decides `asks` one after the other on `loaded`.
    pub(super) fn of(asks: &mut [Box<dyn Ask<A>>], loaded: &Loaded<A>) -> Self {
        let mut draft = Self { decisions: Vec::with_capacity(asks.len()), events: Vec::new() };
        let mut state = loaded.state.clone();
        let mut keys: HashMap<Fingerprint, usize> = HashMap::new();
        for index in 0..asks.len() {
            let (before, rest) = asks.split_at_mut(index);
            let Some(ask) = rest.first_mut() else { break };
            let first = ask.repeats().and_then(|key| keys.get(&key).copied());
            let (what, events) = match first.and_then(|first| Some((first, before.get(first)?))) {
                Some((first, booked)) if booked.hash() == ask.hash() => (What::Repeats { first }, Vec::new()),
                Some(_) => (What::Fails(Failure::KeyReused), Vec::new()),
                None => decide(ask.as_mut(), &state, draft.revision(loaded)),
            };
            if !events.is_empty()
                && draft.events.len() + events.len() > MOST_EVENTS
                && !draft.events.is_empty()
            {
                break;
            }
            state = events.iter().fold(state, A::evolve);
            if let (What::Books { .. }, Some(key)) = (&what, ask.repeats()) {
                keys.insert(key, index);
            }
            draft.events.extend(events);
            draft.decisions.push(Decision { what, state: state.clone(), events: draft.events.len() });
        }
        draft
    }

    /// How many commands it is about.
    pub(super) fn len(&self) -> usize {
        self.decisions.len()
    }

    /// Whether there is nothing to send.
    pub(super) fn has_no_events(&self) -> bool {
        self.events.is_empty()
    }

    /// The revision of the last event so far.
    fn revision(&self, loaded: &Loaded<A>) -> Option<u64> {
        let events = self.events.len() as u64;
        match loaded.last {
            Some(last) => Some(last.revision + events),
            None => events.checked_sub(1),
        }
    }

    /// Marks the commands that are about to be sent. If one was given up meanwhile it answers false, and nothing may be
    /// sent of this draft.
    pub(super) fn send(&self, asks: &[Box<dyn Ask<A>>]) -> bool {
        let sent = self.decisions.iter().zip(asks).filter(|(decision, _)| decision.depends_on_the_append());
        sent.fold(true, |all, (_, ask)| ask.stage().send() && all)
    }

    /// The events as they are stored.
    pub(super) fn encode(&self, stream: &str, asks: &[Box<dyn Ask<A>>], state: &A) -> Vec<NewEvent> {
        let mut state = state.clone();
        let mut encoded = Vec::with_capacity(self.events.len());
        for (decision, ask) in self.decisions.iter().zip(asks) {
            let own = self.events.get(encoded.len()..decision.events).unwrap_or_default();
            for (index, event) in own.iter().enumerate() {
                state = state.evolve(event);
                let more = self.events.len() - encoded.len() - 1;
                encoded.push(encode(stream, ask.as_ref(), index, event, &state, more as u64));
            }
        }
        encoded
    }

    /// What is known of the stream after the append, `keys` being those that may be sent again.
    pub(super) fn onto(
        &self,
        mut loaded: Loaded<A>,
        keys: &[Option<Fingerprint>],
        appended: Appended,
    ) -> Loaded<A> {
        for (decision, key) in self.decisions.iter().zip(keys) {
            if let (What::Books { command }, Some(key)) = (&decision.what, key) {
                let revision = self.place(decision, None, Some(appended)).map_or(0, |place| place.revision);
                loaded.recent.push(Booked { key: *key, command: Some(*command), revision });
            }
        }
        if let Some(decision) = self.decisions.last() {
            loaded.state = decision.state.clone();
        }
        loaded.last = Some(appended);
        loaded
    }

    /// The verdicts, now that the events are booked; without events, now that the state they were decided on is known
    /// to be the last one.
    pub(super) fn settled(&self, before: Option<Appended>, appended: Option<Appended>) -> Vec<Verdict<A>> {
        let outcome = |decision: &Decision<A>, repeated| Outcome {
            state: decision.state.clone(),
            last: self.place(decision, before, appended),
            repeated,
        };
        let verdict = |decision: &Decision<A>| match &decision.what {
            What::Books { .. } | What::Nothing => Ok(outcome(decision, false)),
            What::Repeats { first } => Ok(outcome(self.decisions.get(*first).unwrap_or(decision), true)),
            What::Fails(failure) => Err(failure.clone()),
        };
        self.decisions.iter().map(verdict).collect()
    }

    /// The verdicts, now that the append has failed with `failure`: what was to be booked failed like it, and what
    /// was decided on events that may not be there is not decided at all, and is told `undecided`. What was decided before them stands, if the
    /// state was known to be the last one.
    pub(super) fn failed(
        self,
        before: Option<Appended>,
        fresh: bool,
        failure: &Failure<()>,
        undecided: &Failure<()>,
    ) -> Vec<Verdict<A>> {
        let verdict = |decision: Decision<A>| match decision.what {
            What::Books { .. } | What::Repeats { .. } => Err(failure.clone()),
            What::Fails(failure) if fresh && decision.events == 0 => Err(failure),
            What::Nothing if fresh && decision.events == 0 => {
                Ok(Outcome { state: decision.state, last: before, repeated: false })
            }
            What::Fails(_) | What::Nothing => Err(undecided.clone()),
        };
        self.decisions.into_iter().map(verdict).collect()
    }

    /// Where the last event up to `decision` is.
    fn place(
        &self,
        decision: &Decision<A>,
        before: Option<Appended>,
        appended: Option<Appended>,
    ) -> Option<Appended> {
        match appended {
            Some(appended) if decision.events > 0 => {
                let later = (self.events.len() - decision.events) as u64;
                Some(Appended { revision: appended.revision.saturating_sub(later), ..appended })
            }
            _ => before,
        }
    }
}

impl<A> Decision<A> {
    fn depends_on_the_append(&self) -> bool {
        matches!(self.what, What::Books { .. } | What::Repeats { .. })
    }
}

fn decide<A: Persist>(ask: &mut dyn Ask<A>, state: &A, current: Option<u64>) -> (What, Vec<A::Event>) {
    let failed = ask.intention().preconditions.iter().find(|precondition| !precondition.holds(current));
    if let Some(failed) = failed {
        return (What::Fails(Failure::PreconditionFailed(*failed, current)), Vec::new());
    }
    match ask.decide(state) {
        Ok(events) if events.is_empty() => (What::Nothing, events),
        Ok(events) => (What::Books { command: ask.hash().fingerprint() }, events),
        Err(()) => (What::Fails(Failure::Refused(())), Vec::new()),
    }
}

#[allow(clippy::expect_used, reason = "metadata of numbers and strings always has a JSON form")]
fn encode<A: Persist>(
    stream: &str,
    ask: &dyn Ask<A>,
    index: usize,
    event: &A::Event,
    after: &A,
    more_in_append: u64,
) -> NewEvent {
    let (intention, command) = (ask.intention(), ask.hash());
    let provenance = &intention.provenance;
    let (event_type, data) = A::encode(event);
    let metadata = Metadata {
        schema_version: SCHEMA_VERSION,
        after: after.after(),
        idempotency_key: intention.key.as_str().to_owned(),
        command_hash: command.to_hex(),
        actor: provenance.actor.clone(),
        more_in_append,
        correlation_id: provenance.request_id.clone(),
        causation_id: provenance.request_id.clone(),
        traceparent: provenance.traceparent.clone(),
    };
    NewEvent {
        id: event_id(stream, &intention.key, command, index),
        event_type: event_type.to_owned(),
        content_type: ContentType::Json,
        data: Bytes::from(data),
        metadata: Bytes::from(serde_json::to_vec(&metadata).expect("metadata is always JSON")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{asked, correct, renew, warehouse};
    use super::*;
    use crate::identity::fingerprint;
    use crate::intention::Precondition;
    use crate::recent::Recent;
    use domain::book::{Book, Stock};
    use domain::{Decide as _, fold};
    use event_store::Position;

    fn at(revision: u64, position: u64) -> Appended {
        Appended { revision, position: Position(position) }
    }

    /// Nothing, and a book with five copies whose last event is its fourth.
    fn unknown() -> Loaded<Book> {
        Loaded { state: Book::Unknown, last: None, recent: Recent::since(0, 0), contention: None }
    }

    fn five_copies() -> Loaded<Book> {
        let mut loaded = unknown();
        let events = warehouse(5, None).decide(&Book::Unknown).unwrap();
        loaded.state = fold(&events);
        loaded.last = Some(at(3, 40));
        loaded
    }

    type Told = (Stock, u64, u64, bool);

    /// The stock, revision and position of each that is booked, in words if it fails.
    fn told(verdicts: Vec<Verdict<Book>>) -> Vec<Result<Told, Failure<()>>> {
        let told = |outcome: Outcome<Book>| {
            let last = outcome.last.unwrap();
            (outcome.state.holding().unwrap().stock, last.revision, last.position.0, outcome.repeated)
        };
        verdicts.into_iter().map(|verdict| verdict.map(told)).collect()
    }

    #[test]
    fn each_command_is_decided_on_what_those_before_it_lead_to() {
        let mut asks = vec![
            asked(warehouse(1, None), None, &[]),
            asked(warehouse(1, Some("9.0")), None, &[]),
            asked(correct(-7), None, &[]),
            asked(renew(), None, &[Precondition::At(7)]),
            asked(warehouse(1, None), None, &[Precondition::Absent]),
            asked(warehouse(10, None), Some("same"), &[]),
            asked(warehouse(10, None), Some("same"), &[Precondition::At(4)]),
            asked(warehouse(11, None), Some("same"), &[]),
            asked(correct(-7), None, &[Precondition::At(5)]),
            asked(correct(-7), None, &[Precondition::At(5)]),
        ];
        let loaded = five_copies();
        let draft = Draft::of(&mut asks, &loaded);
        let events = draft.encode("book-1", &asks, &loaded.state);
        assert_eq!(events.len(), 3);
        let metadata: Vec<serde_json::Value> =
            events.iter().map(|event| serde_json::from_slice(&event.metadata).unwrap()).collect();
        let seen: Vec<_> = metadata
            .iter()
            .map(|seen| (seen["after"]["stock"].as_u64(), seen["moreInAppend"].as_u64()))
            .collect();
        assert_eq!(seen, [(Some(6), Some(2)), (Some(16), Some(1)), (Some(9), None)]);

        let mut keys: Vec<_> = asks.iter().map(|ask| ask.repeats()).collect();
        // The last one was given a key here, and its client did not hear the answer.
        keys[8] = Some(fingerprint("made here"));
        let after = draft.onto(loaded, &keys, at(6, 99));
        assert_eq!((after.state.holding().unwrap().stock, after.last), (9, Some(at(6, 99))));
        let known = |key| after.recent.find(key).map(|booked| (booked.revision, booked.command));
        let hash = |index: usize| Some(asks[index].hash().fingerprint());
        assert_eq!(known(keys[5].unwrap()), Some((5, hash(5))));
        assert_eq!(known(keys[8].unwrap()), Some((6, hash(8))));
        assert_eq!(
            told(draft.settled(Some(at(3, 40)), Some(at(6, 99)))),
            [
                Ok((6, 4, 99, false)),
                Err(Failure::Refused(())),
                Err(Failure::Refused(())),
                Err(Failure::PreconditionFailed(Precondition::At(7), Some(4))),
                Err(Failure::PreconditionFailed(Precondition::Absent, Some(4))),
                Ok((16, 5, 99, false)),
                Ok((16, 5, 99, true)),
                Err(Failure::KeyReused),
                Ok((9, 6, 99, false)),
                Err(Failure::PreconditionFailed(Precondition::At(5), Some(6))),
            ]
        );
    }

    #[test]
    fn when_the_append_fails_only_what_was_decided_before_it_stands() {
        let asks = || {
            vec![
                asked(warehouse(1, Some("9.0")), None, &[]),
                asked(warehouse(1, None), Some("k"), &[]),
                asked(warehouse(2, None), Some("k"), &[]),
                asked(warehouse(1, None), Some("k"), &[]),
                asked(correct(-7), None, &[]),
            ]
        };
        let failure = Failure::OutcomeUnknown("no answer".to_owned());
        let nothing = Failure::Unavailable("no answer".to_owned());
        for (fresh, first) in [(true, Failure::Refused(())), (false, nothing.clone())] {
            let draft = Draft::of(&mut asks(), &five_copies());
            let verdicts = told(draft.failed(Some(at(3, 40)), fresh, &failure, &nothing));
            let expected = [first, failure.clone(), nothing.clone(), failure.clone(), nothing.clone()];
            assert_eq!(verdicts, expected.map(Err));
        }
    }

    #[test]
    fn one_append_takes_so_many_events_and_no_more() {
        let mut asks: Vec<_> = (0..200).map(|_| asked(warehouse(1, None), None, &[])).collect();
        let draft = Draft::of(&mut asks, &unknown());
        assert_eq!(draft.len(), MOST_EVENTS);
        let rest = asks.split_off(draft.len());
        assert_eq!(draft.encode("book-1", &asks, &Book::Unknown).len(), MOST_EVENTS);
        assert_eq!(rest.len(), 200 - MOST_EVENTS);
    }

    #[test]
    fn what_was_given_up_before_the_append_keeps_the_draft_from_being_sent() {
        let mut asks =
            vec![asked(warehouse(1, None), None, &[]), asked(warehouse(1, Some("9.0")), None, &[])];
        let draft = Draft::of(&mut asks, &five_copies());
        asks[1].stage().give_up();
        assert!(draft.send(&asks), "what has no event is not sent");
        asks[0].stage().give_up();
        assert!(!draft.send(&asks));
    }
}
