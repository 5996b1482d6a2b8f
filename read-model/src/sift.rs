//! Sifting a batch: what is applied, and which streams wait. Never is an event left out and a later one of its stream
//! applied.

use crate::batch::Gap;
use crate::view::Happening;
use domain::book::BookId;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// An event that cannot be applied. Its stream waits there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Whose stream.
    pub book_id: BookId,
    /// Its place in the stream.
    pub revision: u64,
    /// Its place in the store.
    pub position: u64,
    /// Its id.
    pub event_id: Uuid,
    /// What is wrong with it.
    pub reason: String,
}

/// What becomes of a stream that has a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps<'a> {
    /// Nothing is applied: the events are to be read once more.
    Refuse,
    /// It is parked if it is among these, for which the events were read once more; else nothing is applied.
    ParkThese(&'a BTreeSet<Gap>),
    /// It is parked.
    Park,
}

/// A batch, sifted.
#[derive(Debug)]
pub(crate) struct Sifted<'a> {
    /// What is applied.
    pub(crate) applied: Cow<'a, [Happening]>,
    /// Where the streams end then.
    pub(crate) revisions: BTreeMap<BookId, u64>,
    /// Those that wait from now on.
    pub(crate) parked: Vec<Trouble>,
    /// How many events came for those that wait.
    pub(crate) later: BTreeMap<BookId, u64>,
    /// Those that an event in them asks to fold anew.
    pub(crate) retry: BTreeSet<BookId>,
    /// The gaps for which the events are to be read once more.
    refused: Vec<Gap>,
}

/// Sifts `happenings` and `unreadable`, both in the order of their positions. `last` is where the streams end now, and
/// `waiting` those that are parked. `old` is what was heard of positions up to the checkpoint. Refused, it tells every
/// gap, so that one more reading is enough for all of them.
pub(crate) fn sift<'a>(
    mut last: HashMap<BookId, u64>,
    mut waiting: HashSet<BookId>,
    old: impl Iterator<Item = Trouble>,
    happenings: &'a [Happening],
    unreadable: &[Trouble],
    gaps: Gaps<'_>,
) -> Result<Sifted<'a>, Vec<Gap>> {
    let mut sifted = Sifted {
        applied: Cow::Borrowed(happenings),
        revisions: BTreeMap::new(),
        parked: Vec::new(),
        later: BTreeMap::new(),
        retry: BTreeSet::new(),
        refused: Vec::new(),
    };
    for late in old.filter(|event| last.get(&event.book_id).is_none_or(|last| *last < event.revision)) {
        // Of a stream that waits it may be just the event that is waited for.
        sifted.retry.insert(late.book_id);
        if waiting.insert(late.book_id) {
            sifted.parked.push(late);
        }
    }
    let mut kept = Vec::new();
    let mut unreadable = unreadable.iter().peekable();
    for (index, happening) in happenings.iter().enumerate() {
        while let Some(trouble) = unreadable.next_if(|trouble| trouble.position < happening.position) {
            sifted.meet_unreadable(&last, &mut waiting, trouble, gaps);
        }
        let Happening { book_id, revision, position, event, event_id, .. } = happening;
        let skipped = event.skips(*revision);
        let trouble = |reason| Trouble {
            book_id: *book_id,
            revision: *revision,
            position: *position,
            event_id: *event_id,
            reason,
        };
        if waiting.contains(book_id) {
            *sifted.later.entry(*book_id).or_default() += 1;
            if skipped.is_some() {
                sifted.retry.insert(*book_id);
            }
        } else if let Some(gap) = gap(&last, *book_id, *revision, *position) {
            sifted.meet_gap(&mut waiting, gap, trouble, gaps);
        } else if let Some(skipped) = skipped {
            // What is taken out was applied: the rows are made anew.
            let reason = format!("its revision {skipped} was taken out; it is to be folded anew");
            waiting.insert(*book_id);
            sifted.parked.push(trouble(reason));
            sifted.retry.insert(*book_id);
        } else {
            last.insert(*book_id, *revision);
            sifted.revisions.insert(*book_id, *revision);
            kept.push(index);
        }
    }
    for trouble in unreadable {
        sifted.meet_unreadable(&last, &mut waiting, trouble, gaps);
    }
    if !sifted.refused.is_empty() {
        return Err(sifted.refused);
    }
    if kept.len() < happenings.len() {
        sifted.applied = kept.into_iter().map(|index| happenings[index].clone()).collect();
    }
    Ok(sifted)
}

/// What is missing or doubled before this event, if anything is.
fn gap(last: &HashMap<BookId, u64>, book: BookId, found: u64, position: u64) -> Option<Gap> {
    let expected = last.get(&book).map_or(0, |revision| revision + 1);
    (found != expected).then_some(Gap { book, expected, found, position })
}

impl Sifted<'_> {
    fn meet_unreadable(
        &mut self,
        last: &HashMap<BookId, u64>,
        waiting: &mut HashSet<BookId>,
        trouble: &Trouble,
        gaps: Gaps<'_>,
    ) {
        if waiting.contains(&trouble.book_id) {
            *self.later.entry(trouble.book_id).or_default() += 1;
            return;
        }
        match gap(last, trouble.book_id, trouble.revision, trouble.position) {
            Some(gap) => self.meet_gap(waiting, gap, |reason| Trouble { reason, ..trouble.clone() }, gaps),
            None => {
                waiting.insert(trouble.book_id);
                self.parked.push(trouble.clone());
            }
        }
    }

    fn meet_gap(
        &mut self,
        waiting: &mut HashSet<BookId>,
        gap: Gap,
        trouble: impl FnOnce(String) -> Trouble,
        gaps: Gaps<'_>,
    ) {
        waiting.insert(gap.book);
        let is_parked = match gaps {
            Gaps::Refuse => false,
            Gaps::ParkThese(read_again) => read_again.contains(&gap),
            Gaps::Park => true,
        };
        if is_parked {
            self.parked.push(trouble(gap.to_string()));
        } else {
            self.refused.push(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::book::{BookEvent, Renewed, Skipped};
    use std::iter::empty;

    fn book(number: u64) -> BookId {
        BookId::try_from(number).unwrap()
    }

    fn renewed(number: u64) -> BookEvent {
        BookEvent::Renewed(Renewed {
            book_id: book(number),
            version: "2.0".parse().unwrap(),
            stock: 100,
            occurred_at: Timestamp::default(),
        })
    }

    fn happening(number: u64, revision: u64, position: u64, event: BookEvent) -> Happening {
        let event_id = Uuid::from_u128(position.into());
        Happening {
            book_id: book(number),
            revision,
            position,
            event,
            event_id,
            provenance: domain::metadata::Provenance::default(),
        }
    }

    /// Happenings of the given books and revisions, at positions from 1 on.
    fn batch(events: &[(u64, u64)]) -> Vec<Happening> {
        (1..)
            .zip(events)
            .map(|(position, &(number, revision))| happening(number, revision, position, renewed(number)))
            .collect()
    }

    fn proven(last: &[(u64, u64)], events: &[(u64, u64)]) -> Result<Vec<(u64, u64)>, (u64, u64, u64)> {
        let last = last.iter().map(|(number, revision)| (book(*number), *revision)).collect();
        sift(last, HashSet::new(), empty(), &batch(events), &[], Gaps::Refuse)
            .map(|sifted| {
                sifted.revisions.into_iter().map(|(book, revision)| (book.get(), revision)).collect()
            })
            .map_err(|gaps| gaps[0].clone())
            .map_err(|gap| (gap.book.get(), gap.expected, gap.found))
    }

    fn places(troubles: &[Trouble]) -> Vec<(u64, u64)> {
        troubles.iter().map(|trouble| (trouble.book_id.get(), trouble.revision)).collect()
    }

    fn unreadable(number: u64, revision: u64, position: u64) -> Trouble {
        let (event_id, reason) = (Uuid::nil(), "unreadable".to_owned());
        Trouble { book_id: book(number), revision, position, event_id, reason }
    }

    #[test]
    fn streams_that_go_on_by_one_are_contiguous() {
        assert_eq!(proven(&[(1, 6)], &[(1, 7), (2, 0), (1, 8), (2, 1)]), Ok(vec![(1, 8), (2, 1)]));
    }

    #[test]
    fn a_missing_event_is_a_gap() {
        assert_eq!(proven(&[(1, 6)], &[(2, 0), (1, 8)]), Err((1, 7, 8)));
        assert_eq!(proven(&[], &[(1, 0), (1, 2)]), Err((1, 1, 2)));
    }

    #[test]
    fn a_stream_that_does_not_begin_with_its_first_event_has_a_gap() {
        assert_eq!(proven(&[], &[(1, 1)]), Err((1, 0, 1)));
    }

    #[test]
    fn an_event_that_comes_twice_is_a_gap() {
        assert_eq!(proven(&[(1, 6)], &[(1, 6)]), Err((1, 7, 6)));
        assert_eq!(proven(&[(1, 6)], &[(1, 0)]), Err((1, 7, 0)));
    }

    #[test]
    fn a_gap_names_stream_revisions_and_position() {
        let batch = batch(&[(5, 3)]);
        let gaps = sift(HashMap::new(), HashSet::new(), empty(), &batch, &[], Gaps::Refuse).unwrap_err();
        assert_eq!(
            gaps[0].to_string(),
            "book-5 goes on with revision 3 at position 1, where revision 0 was expected"
        );
    }

    #[test]
    fn a_stream_with_a_gap_waits_there_and_all_others_flow() {
        let batch = batch(&[(1, 0), (2, 0), (1, 2), (2, 1), (1, 3)]);
        let sifted = sift(HashMap::new(), HashSet::new(), empty(), &batch, &[], Gaps::Park).unwrap();
        assert_eq!(sifted.applied.iter().map(|one| one.position).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(places(&sifted.parked), [(1, 2)]);
        assert_eq!(sifted.later, BTreeMap::from([(book(1), 1)]));
        assert_eq!(sifted.revisions, BTreeMap::from([(book(1), 0), (book(2), 1)]));
    }

    #[test]
    fn all_gaps_are_told_at_once_and_only_those_that_were_read_again_are_parked() {
        let batch = batch(&[(1, 1), (2, 0), (3, 4), (1, 2)]);
        let last = || HashMap::from([(book(3), 2)]);
        let gaps = sift(last(), HashSet::new(), empty(), &batch, &[], Gaps::Refuse).unwrap_err();
        let read_again: BTreeSet<Gap> = gaps.into_iter().collect();
        assert_eq!(read_again.iter().map(|gap| gap.book.get()).collect::<Vec<_>>(), [1, 3]);

        let these = Gaps::ParkThese(&read_again);
        let sifted = sift(last(), HashSet::new(), empty(), &batch, &[], these).unwrap();
        assert_eq!((sifted.applied.len(), places(&sifted.parked)), (1, vec![(1, 1), (3, 4)]));
        // Another one is not among them: nothing is applied, not even what is parked otherwise.
        let another = HashMap::from([(book(2), 0)]);
        let gaps = sift(another, HashSet::new(), empty(), &batch, &[], these).unwrap_err();
        assert_eq!(gaps.iter().map(|gap| gap.book.get()).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn an_event_of_an_old_position_is_passed_over_if_it_is_in_and_else_its_stream_is_folded_anew() {
        let old = || [unreadable(1, 4, 1), unreadable(2, 1, 2), unreadable(3, 0, 3)].into_iter();
        let last = HashMap::from([(book(1), 4), (book(2), 0)]);
        let batch = [happening(2, 2, 9, renewed(2)), happening(1, 5, 10, renewed(1))];
        let sifted = sift(last, HashSet::from([book(3)]), old(), &batch, &[], Gaps::Refuse).unwrap();
        assert_eq!(sifted.applied.iter().map(|one| one.position).collect::<Vec<_>>(), [10]);
        assert_eq!(places(&sifted.parked), [(2, 1)]);
        assert_eq!(sifted.retry, BTreeSet::from([book(2), book(3)]));
    }

    #[test]
    fn a_stream_waits_at_an_unreadable_event_wherever_it_stands_in_the_batch() {
        let happenings = [1, 3, 5].map(|position| happening(1, (position - 1) / 2, position, renewed(1)));
        for (position, revision, applied) in [(2, 1, 1), (6, 3, 3)] {
            let sifted = sift(
                HashMap::new(),
                HashSet::new(),
                empty(),
                &happenings,
                &[unreadable(1, revision, position)],
                Gaps::Refuse,
            )
            .unwrap();
            assert_eq!(sifted.applied.len(), applied);
            assert_eq!(places(&sifted.parked), [(1, revision)]);
        }
    }

    #[test]
    fn a_stream_that_waits_is_only_counted_until_an_event_takes_one_out() {
        let skip = |revision| {
            BookEvent::Skipped(Skipped {
                book_id: book(1),
                revision,
                reason: "unreadable".parse().unwrap(),
                occurred_at: Timestamp::default(),
            })
        };
        let waiting = HashSet::from([book(1)]);
        let batch = [happening(1, 7, 1, renewed(1)), happening(1, 8, 2, skip(6))];
        let sifted =
            sift(HashMap::new(), waiting, empty(), &batch, &[unreadable(1, 9, 3)], Gaps::Refuse).unwrap();
        assert_eq!((sifted.applied.len(), sifted.parked.len()), (0, 0));
        assert_eq!(sifted.later, BTreeMap::from([(book(1), 3)]));
        assert_eq!(sifted.retry, BTreeSet::from([book(1)]));

        // One that does not wait has applied what is taken out.
        let batch = [happening(1, 1, 1, skip(0))];
        let sifted =
            sift(HashMap::from([(book(1), 0)]), HashSet::new(), empty(), &batch, &[], Gaps::Refuse).unwrap();
        assert_eq!(places(&sifted.parked), [(1, 1)]);
        assert_eq!(sifted.retry, BTreeSet::from([book(1)]));
    }
}
