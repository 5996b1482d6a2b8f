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
    let found = |ask: &dyn Ask<A>| {
        let first = loaded.recent.find(ask.repeats()?)?;
        // What is known may reach further back than this ask does: a replica that knows less must say the same.
        (first.revision + ask.intention().reach > loaded.last?.revision).then_some(first)
    };
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
            HistoryError::Unavailable(reason) | HistoryError::Refused(reason) => {
                Failure::OutcomeUnknown(reason.clone())
            }
            HistoryError::Deleted | HistoryError::Unreadable { .. } => error.into(),
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

#[cfg(test)]
mod tests {
    use super::super::testing::{asked, correct};
    use super::*;
    use crate::identity::fingerprint;
    use crate::recent::{Recent, WINDOW};
    use domain::book::Book;
    use event_store::{Appended, Position};

    /// How many repeats there are, and how many commands are left, if the key `k` was booked at revision 7 of a stream that
    /// is known from there to `last`, and the same and another command come under it.
    fn found(last: u64) -> (usize, usize) {
        let mut recent = Recent::since(0, 0);
        let mut asks = vec![asked(correct(1), Some("k"), &[]), asked(correct(2), Some("k"), &[])];
        let command = asks.first().map(|ask| ask.hash().fingerprint());
        recent.push(Booked { key: fingerprint("k"), command, revision: 7 });
        let last = Some(Appended { revision: last, position: Position(last) });
        let loaded = Loaded { state: Book::Unknown, last, recent, contention: None };
        (take_out(&mut asks, &loaded).len(), asks.len())
    }

    #[tokio::test]
    async fn a_key_counts_within_its_reach_however_much_is_known() {
        assert_eq!(found(7), (1, 0));
        // The events from 7 to this one are as many as a replica reads that knows nothing.
        assert_eq!(found(7 + WINDOW - 1), (1, 0));
        assert_eq!(found(7 + WINDOW), (0, 2));
    }
}
