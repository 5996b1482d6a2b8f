//! Repeats: commands that were booked before under the same key, answered from the events that they left then.

use super::ask::Ask;
use super::outcome::{Failure, Outcome};
use crate::history::{self, HistoryError, Loaded, Moment};
use crate::recent::Booked;
use domain::Persist;
use event_store::EventStore;
use std::sync::Arc;

/// Events between those that answer repeats may be read along, if at most so many for each: one read costs as much as
/// some tens of events.
const READ_ALONG: u64 = 20;

type Repeat<A> = (Booked, Box<dyn Ask<A>>);

/// Takes the repeats out of `asks`: those that were booked before as the same command wait for their first answer, the
/// others are refused here.
pub(super) fn take_out<A: Persist>(asks: &mut Vec<Box<dyn Ask<A>>>, loaded: &Loaded<A>) -> Vec<Repeat<A>> {
    let found = |ask: &dyn Ask<A>| loaded.recent.find(ask.repeats()?);
    let mut repeats = Vec::new();
    for ask in asks.extract_if(.., |ask| found(ask.as_ref()).is_some()).collect::<Vec<_>>() {
        match found(ask.as_ref()) {
            Some(first) if first.command == Some(ask.hash().fingerprint()) => repeats.push((first, ask)),
            _ => {
                ask.answer(Err(Failure::KeyReused));
            }
        }
    }
    // From here on nothing else can be said of them than that they may be booked.
    repeats.retain(|(_, ask)| ask.stage().send());
    repeats
}

/// Answers them as the first time, in a task of their own: nobody else has to wait for that.
pub(super) fn answer<A: Persist>(store: &impl EventStore, stream: &Arc<str>, mut repeats: Vec<Repeat<A>>) {
    if repeats.is_empty() {
        return;
    }
    let (store, stream) = (store.clone(), Arc::clone(stream));
    tokio::spawn(async move {
        repeats.sort_by_key(|(first, _)| first.revision);
        while !repeats.is_empty() {
            let together = repeats
                .windows(2)
                .take_while(|pair| pair[1].0.revision - pair[0].0.revision <= READ_ALONG)
                .count();
            let rest = repeats.split_off(together + 1);
            answer_together(&store, &stream, repeats).await;
            repeats = rest;
        }
    });
}

async fn answer_together<A: Persist>(store: &impl EventStore, stream: &str, repeats: Vec<Repeat<A>>) {
    let revision = |repeat: Option<&Repeat<A>>| repeat.map_or(0, |(first, _)| first.revision);
    let (first, last) = (revision(repeats.first()), revision(repeats.last()));
    let moments = history::answered::<A>(store, stream, first, last).await;
    for (booked, ask) in repeats {
        let failure = |error: &HistoryError| match error {
            // The command is booked, so it must not sound as if it were not.
            HistoryError::Unavailable(reason) => Failure::OutcomeUnknown(reason.clone()),
            HistoryError::Unreadable { .. } => error.into(),
        };
        let found = moments.as_ref().map_err(failure).and_then(|moments| {
            let place = usize::try_from(booked.revision - first).unwrap_or(usize::MAX);
            match moments.get(place) {
                Some(moment) => moment.as_ref().map_err(failure),
                None => {
                    Err(Failure::Unreadable(format!("the event at revision {} is gone", booked.revision)))
                }
            }
        });
        ask.answer(found.map(|Moment { state, at, .. }| Outcome {
            state: state.clone(),
            last: Some(*at),
            repeated: true,
        }));
    }
}
