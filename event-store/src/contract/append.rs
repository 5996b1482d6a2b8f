//! Appends: expectations, conflicts, and saying the same thing twice.

use super::{append, ids, new_events, new_stream, stored_ids, stream_of};
use crate::{AppendError, Appended, Direction, EventStore, Expected, NewEvent, ReadError, Start};
use bytes::Bytes;
use futures_util::future::{join, join_all};
use uuid::Uuid;

/// The first append to a stream gives its events the revisions from 0.
///
/// # Panics
/// If it does not.
pub async fn a_new_stream_begins_at_revision_zero(store: &impl EventStore) {
    let stream = new_stream();
    let appended = append(store, &stream, Expected::NoStream, &new_events(3)).await;
    assert_eq!(appended.revision, 2);
    assert_eq!(revisions(store, &stream).await, [0, 1, 2]);
}

/// Each append goes on where the last one ended, at a later position.
///
/// # Panics
/// If it does not.
pub async fn an_append_goes_on_from_the_last_revision(store: &impl EventStore) {
    let stream = new_stream();
    let first = append(store, &stream, Expected::NoStream, &new_events(2)).await;
    let second = append(store, &stream, Expected::Revision(1), &new_events(3)).await;
    assert_eq!(second.revision, 4);
    assert!(first.position < second.position);
    assert_eq!(revisions(store, &stream).await, [0, 1, 2, 3, 4]);
}

/// Who expects no stream where there is one stores nothing, and learns where it is.
///
/// # Panics
/// If that is not so.
pub async fn a_stream_that_exists_is_a_conflict_for_one_who_expects_none(store: &impl EventStore) {
    let stream = new_stream();
    let events = stream_of(store, &stream, 2).await;
    conflicts(store, &stream, Expected::NoStream, Some(1)).await;
    assert_eq!(all_ids(store, &stream).await, ids(&events));
}

/// Who expects an earlier or a later revision than the last stores nothing, and learns where the stream is.
///
/// # Panics
/// If that is not so.
pub async fn another_revision_than_the_last_is_a_conflict(store: &impl EventStore) {
    let stream = new_stream();
    let events = stream_of(store, &stream, 3).await;
    for elsewhere in [0, 1, 3, 1000] {
        conflicts(store, &stream, Expected::Revision(elsewhere), Some(2)).await;
    }
    assert_eq!(all_ids(store, &stream).await, ids(&events));
}

/// Who expects a revision of a stream that does not exist stores nothing, and learns that there is none.
///
/// # Panics
/// If that is not so.
pub async fn a_missing_stream_is_a_conflict_for_one_who_expects_a_revision(store: &impl EventStore) {
    let stream = new_stream();
    conflicts(store, &stream, Expected::Revision(0), None).await;
    assert_eq!(revisions(store, &stream).await, [0; 0]);
}

/// The same events with the same expectation get the first answer again, also when the stream has long gone on.
///
/// # Panics
/// If they do not, or are stored twice.
pub async fn the_same_append_again_is_answered_as_the_first_time(store: &impl EventStore) {
    let stream = new_stream();
    let (made, went_on) = (new_events(1), new_events(2));
    let first = append(store, &stream, Expected::NoStream, &made).await;
    let second = append(store, &stream, Expected::Revision(0), &went_on).await;
    append(store, &stream, Expected::Revision(2), &new_events(100)).await;

    assert_eq!(append(store, &stream, Expected::NoStream, &made).await, first);
    assert_eq!(append(store, &stream, Expected::Revision(0), &went_on).await, second);
    assert_eq!(revisions(store, &stream).await, (0..=102).collect::<Vec<_>>());
}

/// The first of several events that were appended as one, sent again alone, is answered as stored.
///
/// # Panics
/// If it is not.
pub async fn the_first_events_of_an_append_again_are_answered_as_stored(store: &impl EventStore) {
    let stream = new_stream();
    let events = stream_of(store, &stream, 3).await;
    let again = append(store, &stream, Expected::NoStream, &events[..1]).await;
    let stored = store.read_stream(&stream, Start::Beginning, Direction::Forwards, 1).await.unwrap();
    assert_eq!(again, Appended { revision: 0, position: stored[0].position });
    assert_eq!(all_ids(store, &stream).await, ids(&events));
}

/// An append that begins with stored events and then has others is not the same append.
///
/// # Panics
/// If it is taken for the same.
pub async fn an_append_that_only_begins_like_a_stored_one_is_a_conflict(store: &impl EventStore) {
    let stream = new_stream();
    let events = stream_of(store, &stream, 2).await;
    let other = vec![events[0].clone(), new_events(1).remove(0)];
    let longer = vec![events[0].clone(), events[1].clone(), new_events(1).remove(0)];
    for differs in [other, longer] {
        let answer = store.append(&stream, Expected::NoStream, differs).await;
        assert_eq!(answer, Err(AppendError::Conflict { expected: Expected::NoStream, current: Some(1) }));
    }
    assert_eq!(all_ids(store, &stream).await, ids(&events));
}

/// Of many who append at once with the same expectation, one wins, and the others learn where the stream is.
///
/// # Panics
/// If none wins, or more than one.
pub async fn of_many_who_expect_the_same_one_wins(store: &impl EventStore) {
    let stream = new_stream();
    stream_of(store, &stream, 1).await;
    let appends = (0..32).map(|_| store.append(&stream, Expected::Revision(0), new_events(1)));
    let (won, lost): (Vec<_>, Vec<_>) = join_all(appends).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1, "so many won");
    let conflict = AppendError::Conflict { expected: Expected::Revision(0), current: Some(1) };
    assert!(lost.iter().all(|answer| *answer == Err(conflict.clone())), "{lost:?}");
    assert_eq!(revisions(store, &stream).await, [0, 1]);
}

/// Conflicts are nothing to those who append to other streams at the same time: each of theirs is stored, once.
///
/// # Panics
/// If one is not, or an append with a wrong expectation is told anything but where its stream is.
pub async fn a_conflict_is_nothing_to_the_other_streams(store: &impl EventStore) {
    const APPENDS: u64 = 8;
    let writer = async |_| {
        let stream = new_stream();
        for length in 0..APPENDS {
            let expected = length.checked_sub(1).map_or(Expected::NoStream, Expected::Revision);
            assert_eq!(append(store, &stream, expected, &new_events(1)).await.revision, length);
        }
        assert_eq!(revisions(store, &stream).await, Vec::from_iter(0..APPENDS));
    };
    let intruder = async {
        for _ in 0..APPENDS {
            conflicts(store, &new_stream(), Expected::Revision(7), None).await;
        }
    };
    join(join_all((0..16).map(writer)), intruder).await;
}

/// An append of no event is refused.
///
/// # Panics
/// If it is not.
pub async fn an_append_of_nothing_is_refused(store: &impl EventStore) {
    let answer = store.append(&new_stream(), Expected::NoStream, Vec::new()).await;
    assert!(matches!(answer, Err(AppendError::Refused(_))), "{answer:?}");
}

/// Of a `stream` that is deleted for ever everybody is told so, whatever they expect or want to read. It is not among
/// [`all`](super::all): the port deletes nothing, so whoever runs this has to have deleted one.
///
/// # Panics
/// If anything else is told.
pub async fn a_stream_that_is_deleted_for_ever_says_so(store: &impl EventStore, stream: &str) {
    for expected in [Expected::NoStream, Expected::Revision(0), Expected::Revision(7)] {
        let answer = store.append(stream, expected, new_events(1)).await;
        assert_eq!(answer, Err(AppendError::Deleted), "{expected:?}");
    }
    for (from, direction) in [
        (Start::Beginning, Direction::Forwards),
        (Start::At(1), Direction::Forwards),
        (Start::End, Direction::Backwards),
    ] {
        let answer = store.read_stream(stream, from, direction, 1).await;
        assert_eq!(answer, Err(ReadError::Deleted), "{from:?}");
    }
}

/// An event of 900,000 bytes, which every supported server takes, comes back whole.
///
/// # Panics
/// If it does not.
pub async fn a_big_event_comes_back_whole(store: &impl EventStore) {
    let stream = new_stream();
    let data = Bytes::from(format!(r#"{{"name":"{}"}}"#, "재".repeat(300_000)));
    let [mut event]: [NewEvent; 1] = new_events(1).try_into().unwrap();
    event.data = data.clone();
    append(store, &stream, Expected::NoStream, &[event]).await;
    let stored = store.read_stream(&stream, Start::End, Direction::Backwards, 1).await.unwrap();
    assert!(stored[0].data == data, "{} bytes came back", stored[0].data.len());
}

async fn conflicts(store: &impl EventStore, stream: &str, expected: Expected, current: Option<u64>) {
    let answer = store.append(stream, expected, new_events(1)).await;
    assert_eq!(answer, Err(AppendError::Conflict { expected, current }));
}

async fn revisions(store: &impl EventStore, stream: &str) -> Vec<u64> {
    let events = store.read_stream(stream, Start::Beginning, Direction::Forwards, usize::MAX).await.unwrap();
    events.iter().map(|event| event.revision).collect()
}

async fn all_ids(store: &impl EventStore, stream: &str) -> Vec<Uuid> {
    stored_ids(&store.read_stream(stream, Start::Beginning, Direction::Forwards, usize::MAX).await.unwrap())
}
