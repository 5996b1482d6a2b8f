//! May this append be written? The rules of expected revisions and of repeated appends, as one pure function.

use super::event::{Position, Revision, TOMBSTONE};
use uuid::Uuid;

/// What a writer expects of a stream before its append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedRevision {
    /// Nothing.
    Any,
    /// The stream, or its metadata stream, has been written to.
    StreamExists,
    /// The stream has no event.
    NoStream,
    /// The last event has this revision.
    Exact(Revision),
}

/// What to do with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Write it after the last event.
    Write,
    /// Its events have been written before, the last of them here.
    Repeated(Place),
    /// Refuse it.
    WrongExpectedRevision,
    /// Refuse it: the stream is deleted for ever.
    StreamDeleted,
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) revision: Revision,
    pub(super) position: Position,
}

/// What the decision needs to know of a stream beyond its last revision; looked up only when it matters.
pub(super) trait Past {
    /// Why a look-up failed.
    type Error;

    /// Is the stream deleted, though not for ever?
    fn is_deleted(&mut self) -> Result<bool, Self::Error>;

    /// Has the metadata stream been written to?
    fn has_metadata(&mut self) -> Result<bool, Self::Error>;

    /// The event of this stream at `revision`.
    fn at(&mut self, revision: Revision) -> Result<Option<(Uuid, Position)>, Self::Error>;

    /// The event of this stream with this id, if it is among the events appended most recently.
    fn recent(&mut self, id: Uuid) -> Option<Place>;
}

/// Decides an append of the events `ids` to a stream whose last event is `last`.
pub(super) fn decide<P: Past>(
    expected: ExpectedRevision,
    last: Option<Revision>,
    ids: impl ExactSizeIterator<Item = Uuid>,
    past: &mut P,
) -> Result<Decision, P::Error> {
    if last == Some(TOMBSTONE) {
        let only_asks = ids.len() == 0;
        return Ok(match expected {
            ExpectedRevision::Any | ExpectedRevision::NoStream if only_asks => Decision::Write,
            _ => Decision::StreamDeleted,
        });
    }
    match expected {
        ExpectedRevision::Any => Ok(decide_by_recent_ids(ids, past)),
        // Deleted or not, it is told to whoever counts on the stream as if that were for ever.
        ExpectedRevision::StreamExists if past.is_deleted()? => Ok(Decision::StreamDeleted),
        ExpectedRevision::StreamExists if last.is_none() && !past.has_metadata()? => {
            Ok(Decision::WrongExpectedRevision)
        }
        ExpectedRevision::StreamExists => Ok(decide_by_recent_ids(ids, past)),
        ExpectedRevision::NoStream => decide_by_revision(-1, last, ids, past),
        ExpectedRevision::Exact(revision) => decide_by_revision(revision, last, ids, past),
    }
}

/// The weak rule: the append names no revision, so a repeat is known only by ids that are still remembered.
fn decide_by_recent_ids<P: Past>(ids: impl Iterator<Item = Uuid>, past: &mut P) -> Decision {
    let mut written = None;
    for id in ids {
        match (past.recent(id), written) {
            (Some(place), _) => written = Some(place),
            (None, None) => return Decision::Write,
            // Its beginning was written once and its end was not: neither a repeat nor a new append.
            (None, Some(_)) => return Decision::WrongExpectedRevision,
        }
    }
    written.map_or(Decision::Write, Decision::Repeated)
}

/// The strong rule: the append names the revision it follows (-1: none), so a repeat is known however old it is.
fn decide_by_revision<P: Past>(
    expected: Revision,
    last: Option<Revision>,
    ids: impl Iterator<Item = Uuid>,
    past: &mut P,
) -> Result<Decision, P::Error> {
    let last = last.unwrap_or(-1);
    if expected == last {
        return Ok(Decision::Write);
    }
    let mut written = None;
    let mut revision = expected;
    for id in ids {
        // A revision beyond the last one has no event, so the comparison ends there at the latest.
        revision = revision.saturating_add(1);
        match past.at(revision)? {
            Some((found, position)) if found == id => written = Some(Place { revision, position }),
            // To whoever expects no stream, a deleted one is none, unless this is a repeat of its very beginning.
            Some(_) | None if written.is_none() && expected == -1 && past.is_deleted()? => {
                return Ok(Decision::Write);
            }
            Some(_) | None => return Ok(Decision::WrongExpectedRevision),
        }
    }
    match written {
        Some(place) => Ok(Decision::Repeated(place)),
        None if expected == -1 && past.is_deleted()? => Ok(Decision::Write),
        None => Ok(Decision::WrongExpectedRevision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// A stream with events of the given ids, position = 10 + revision, of which the last `remembered` are recent.
    struct Stream {
        ids: Vec<u128>,
        remembered: usize,
        metadata: bool,
        deleted: bool,
    }

    impl Past for Stream {
        type Error = Infallible;

        fn is_deleted(&mut self) -> Result<bool, Infallible> {
            Ok(self.deleted)
        }

        fn has_metadata(&mut self) -> Result<bool, Infallible> {
            Ok(self.metadata)
        }

        fn at(&mut self, revision: Revision) -> Result<Option<(Uuid, Position)>, Infallible> {
            let id = usize::try_from(revision).ok().and_then(|revision| self.ids.get(revision));
            Ok(id.map(|id| (Uuid::from_u128(*id), revision + 10)))
        }

        fn recent(&mut self, id: Uuid) -> Option<Place> {
            let revision = self.ids.iter().position(|known| Uuid::from_u128(*known) == id)?;
            let recent = revision + self.remembered >= self.ids.len();
            let revision = i64::try_from(revision).unwrap();
            recent.then_some(Place { revision, position: revision + 10 })
        }
    }

    #[test]
    fn every_expectation_meets_every_stream() {
        use Decision::{Write, WrongExpectedRevision as Wrong};
        use ExpectedRevision::{Any, Exact, NoStream, StreamExists};
        let repeated = |revision: Revision| Decision::Repeated(Place { revision, position: revision + 10 });
        let empty: &[u128] = &[];
        let three: &[u128] = &[1, 2, 3];
        #[rustfmt::skip]
        let cases: &[(&[u128], ExpectedRevision, &[u128], Decision)] = &[
            // stream  expected        appended       decision
            (empty,    Any,            &[9],          Write),
            (empty,    NoStream,       &[9],          Write),
            (empty,    StreamExists,   &[9],          Wrong),
            (empty,    Exact(0),       &[9],          Wrong),
            (empty,    Any,            &[],           Write),
            (empty,    NoStream,       &[],           Write),
            (three,    Any,            &[9],          Write),
            (three,    StreamExists,   &[9],          Write),
            (three,    NoStream,       &[9],          Wrong),
            (three,    Exact(2),       &[9],          Write),
            (three,    Exact(1),       &[9],          Wrong),
            (three,    Exact(3),       &[9],          Wrong),
            (three,    Exact(i64::MAX),&[9],          Wrong),
            // Strong repeats, however old.
            (three,    NoStream,       &[1],          repeated(0)),
            (three,    NoStream,       &[1, 2, 3],    repeated(2)),
            (three,    Exact(0),       &[2, 3],       repeated(2)),
            (three,    Exact(0),       &[2, 9],       Wrong),
            (three,    Exact(0),       &[2, 3, 4],    Wrong),
            (three,    Exact(1),       &[2],          Wrong),
            (three,    Exact(2),       &[3],          Write),
            // Weak repeats, only of the two events remembered.
            (three,    Any,            &[3],          repeated(2)),
            (three,    Any,            &[2, 3],       repeated(2)),
            (three,    StreamExists,   &[2],          repeated(1)),
            (three,    Any,            &[1],          Write),
            (three,    Any,            &[3, 9],       Wrong),
            (three,    Any,            &[9, 3],       Write),
            // Appends without events check the revision only.
            (three,    Any,            &[],           Write),
            (three,    Exact(2),       &[],           Write),
            (three,    Exact(1),       &[],           Wrong),
            (three,    NoStream,       &[],           Wrong),
        ];
        for (stream, expected, appended, decision) in cases {
            let mut past = Stream { ids: stream.to_vec(), remembered: 2, metadata: false, deleted: false };
            let last = stream.len().checked_sub(1).map(|last| i64::try_from(last).unwrap());
            let ids = appended.iter().map(|id| Uuid::from_u128(*id));
            let decided = decide(*expected, last, ids, &mut past).unwrap();
            assert_eq!(decided, *decision, "{stream:?} {expected:?} {appended:?}");
        }
    }

    #[test]
    fn a_stream_that_has_only_metadata_exists() {
        let mut past = Stream { ids: Vec::new(), remembered: 0, metadata: true, deleted: false };
        let ids = [Uuid::from_u128(9)].into_iter();
        assert_eq!(decide(ExpectedRevision::StreamExists, None, ids, &mut past).unwrap(), Decision::Write);
    }

    #[test]
    fn a_deleted_stream_is_none_to_whoever_expects_none_and_numbering_goes_on() {
        use Decision::{StreamDeleted, Write, WrongExpectedRevision as Wrong};
        use ExpectedRevision::{Any, Exact, NoStream, StreamExists};
        let repeated = |revision: Revision| Decision::Repeated(Place { revision, position: revision + 10 });
        #[rustfmt::skip]
        let cases: &[(ExpectedRevision, &[u128], Decision)] = &[
            (Any,          &[9],    Write),
            (NoStream,     &[9],    Write),
            (NoStream,     &[],     Write),
            (NoStream,     &[1],    repeated(0)),
            (NoStream,     &[1, 9], Wrong),
            (StreamExists, &[9],    StreamDeleted),
            (Exact(2),     &[9],    Write),
            (Exact(1),     &[9],    Wrong),
        ];
        for (expected, appended, decision) in cases {
            let mut past = Stream { ids: vec![1, 2, 3], remembered: 0, metadata: true, deleted: true };
            let ids = appended.iter().map(|id| Uuid::from_u128(*id));
            let decided = decide(*expected, Some(2), ids, &mut past).unwrap();
            assert_eq!(decided, *decision, "{expected:?} {appended:?}");
        }
        // Where it went on, a repeat of how it did so is not looked for: only of the stream's very beginning.
        let mut past = Stream { ids: vec![1, 2, 3, 4], remembered: 4, metadata: true, deleted: false };
        let again = decide(NoStream, Some(3), [Uuid::from_u128(4)].into_iter(), &mut past).unwrap();
        assert_eq!(again, Wrong);
    }

    #[test]
    fn nothing_can_be_appended_behind_a_tombstone() {
        use ExpectedRevision::{Any, Exact, NoStream, StreamExists};
        for expected in [Any, NoStream, StreamExists, Exact(0), Exact(Revision::MAX)] {
            let mut past = Stream { ids: vec![1], remembered: 1, metadata: true, deleted: false };
            let ids = [Uuid::from_u128(1)].into_iter();
            assert_eq!(decide(expected, Some(TOMBSTONE), ids, &mut past).unwrap(), Decision::StreamDeleted);
        }
    }
}
