//! Reads: of one stream, of all streams, of one position.

use super::{append, ids, new_events, new_stream, stored_ids, stream_of};
use crate::Direction::{Backwards, Forwards};
use crate::{ContentType, EventStore, Expected, Position, Start, StoredEvent};
use bytes::Bytes;

/// Stream, revision, position, id, type, data and metadata come back as given, byte for byte, and the time of storing is there.
///
/// # Panics
/// If one does not.
pub async fn an_event_comes_back_as_it_was_given(store: &impl EventStore) {
    let stream = new_stream();
    let mut given = new_events(4);
    given[1].data = Bytes::from_static(b"{ \"price\" : 1.50,\n\"qty\":1e2 }");
    given[2].content_type = ContentType::Binary;
    given[2].data = Bytes::from_static(b"\0\xff{}\n");
    given[2].metadata = Bytes::from_static(b"{ \"odd\" : [ ] }\n");
    given[3].content_type = ContentType::Binary;
    given[3].metadata = Bytes::new();
    let appended = append(store, &stream, Expected::NoStream, &given).await;
    let stored = store.read_stream(&stream, Start::Beginning, Forwards, 10).await.unwrap();
    assert_eq!(stored.len(), 4);
    for (revision, (stored, given)) in (0..).zip(stored.iter().zip(&given)) {
        assert_eq!((&stored.stream, stored.revision), (&stream, revision));
        assert_eq!((stored.id, &stored.event_type), (given.id, &given.event_type));
        assert_eq!((&stored.data, &stored.metadata), (&given.data, &given.metadata));
        assert_eq!(stored.content_type, given.content_type);
        assert!(stored.created_micros > MICROS_UNTIL_2024, "created at {}", stored.created_micros);
    }
    assert!(stored[0].position < stored[1].position);
    assert_eq!(stored[3].position, appended.position);
}

const MICROS_UNTIL_2024: i64 = 1_704_067_200_000_000;

/// A stream that does not exist is empty, from wherever it is read.
///
/// # Panics
/// If something is read.
pub async fn a_missing_stream_is_empty(store: &impl EventStore) {
    let stream = new_stream();
    for from in [Start::Beginning, Start::End, Start::At(5)] {
        for direction in [Forwards, Backwards] {
            assert_eq!(store.read_stream(&stream, from, direction, 10).await, Ok(Vec::new()));
        }
    }
}

/// A stream is read from either end or any revision, that one included, either way, up to a limit.
///
/// # Panics
/// If other events are read, or in another order.
pub async fn a_stream_is_read_both_ways_from_anywhere_up_to_a_limit(store: &impl EventStore) {
    let stream = new_stream();
    stream_of(store, &stream, 5).await;
    let cases = [
        (Start::Beginning, Forwards, 10, vec![0, 1, 2, 3, 4]),
        (Start::Beginning, Forwards, 2, vec![0, 1]),
        (Start::At(2), Forwards, 10, vec![2, 3, 4]),
        (Start::At(2), Forwards, 1, vec![2]),
        (Start::At(4), Forwards, 10, vec![4]),
        (Start::At(5), Forwards, 10, vec![]),
        (Start::End, Forwards, 10, vec![4]),
        (Start::End, Backwards, 10, vec![4, 3, 2, 1, 0]),
        (Start::End, Backwards, 1, vec![4]),
        (Start::At(2), Backwards, 10, vec![2, 1, 0]),
        (Start::At(2), Backwards, 2, vec![2, 1]),
        (Start::At(0), Backwards, 10, vec![0]),
        (Start::Beginning, Backwards, 10, vec![0]),
        (Start::Beginning, Forwards, 0, vec![]),
    ];
    for (from, direction, limit, expected) in cases {
        let read = store.read_stream(&stream, from, direction, limit).await.unwrap();
        let revisions: Vec<u64> = read.iter().map(|event| event.revision).collect();
        assert_eq!(revisions, expected, "{limit} from {from:?} {direction:?}");
    }
}

/// A stream of thousands of events is read to its end, either way.
///
/// # Panics
/// If an event is missing or told twice.
pub async fn a_long_stream_is_read_to_its_end(store: &impl EventStore) {
    const EVENTS: u64 = 9_000;
    let stream = new_stream();
    let mut expected = Expected::NoStream;
    for _ in 0..EVENTS / 1_000 {
        let appended = append(store, &stream, expected, &new_events(1_000)).await;
        expected = Expected::Revision(appended.revision);
    }
    let revisions = |events: Vec<StoredEvent>| events.iter().map(|event| event.revision).collect::<Vec<_>>();
    let forwards = store.read_stream(&stream, Start::Beginning, Forwards, usize::MAX).await.unwrap();
    assert!(revisions(forwards).into_iter().eq(0..EVENTS));
    let backwards = store.read_stream(&stream, Start::End, Backwards, usize::MAX).await.unwrap();
    assert!(revisions(backwards).into_iter().eq((0..EVENTS).rev()));
}

/// All streams together are read in the order of their appends, after a position or before it, which is left out.
///
/// # Panics
/// If they are not.
pub async fn all_streams_are_read_in_the_order_of_their_appends(store: &impl EventStore) {
    let (one, other) = (new_stream(), new_stream());
    let before = append(store, &one, Expected::NoStream, &new_events(1)).await.position;
    let mut given = Vec::new();
    for revision in 0..3 {
        let expected = if revision == 0 { Expected::NoStream } else { Expected::Revision(revision - 1) };
        for (stream, expected) in [(&other, expected), (&one, Expected::Revision(revision))] {
            let events = new_events(1);
            append(store, stream, expected, &events).await;
            given.extend(events);
        }
    }
    let given = ids(&given);

    // Others may append in between, so only this test's streams count.
    let own = |event: &StoredEvent| event.stream == one || event.stream == other;
    let forwards = store.read_all(Start::At(before), Forwards, usize::MAX).await.unwrap();
    assert!(forwards.is_sorted_by(|left, right| left.position < right.position));
    let forwards: Vec<StoredEvent> = forwards.into_iter().filter(own).collect();
    assert_eq!(stored_ids(&forwards), given);

    let second_last = forwards[4].position;
    let last = store.read_all(Start::At(second_last), Forwards, usize::MAX).await.unwrap();
    assert_eq!(stored_ids(&last.into_iter().filter(own).collect::<Vec<_>>()), given[5..]);

    let backwards = store.read_all(Start::At(second_last), Backwards, 1_000).await.unwrap();
    assert!(backwards.is_sorted_by(|left, right| left.position > right.position));
    let backwards: Vec<StoredEvent> = backwards.into_iter().filter(own).take(4).collect();
    assert!(stored_ids(&backwards).iter().eq(given[..4].iter().rev()));
}

/// All streams have a first event and a last one, and nothing beyond them.
///
/// # Panics
/// If something is told from there.
pub async fn nothing_lies_before_the_beginning_or_after_the_end(store: &impl EventStore) {
    stream_of(store, &new_stream(), 2).await;
    assert_eq!(store.read_all(Start::Beginning, Backwards, 10).await, Ok(Vec::new()));
    assert_eq!(store.read_all(Start::End, Forwards, 10).await, Ok(Vec::new()));
    assert_eq!(store.read_all(Start::Beginning, Forwards, 0).await, Ok(Vec::new()));
    let first = store.read_all(Start::Beginning, Forwards, 1).await.unwrap();
    let last = store.read_all(Start::End, Backwards, 1).await.unwrap();
    assert_eq!((first.len(), last.len()), (1, 1));
    assert!(first[0].position < last[0].position);
    assert_eq!(store.read_all(Start::At(first[0].position), Backwards, 10).await, Ok(Vec::new()));
}

/// An event is found by its position; where there is none, none is.
///
/// # Panics
/// If another one is, or none.
pub async fn the_event_at_a_position_is_found(store: &impl EventStore) {
    let stream = new_stream();
    stream_of(store, &stream, 3).await;
    for event in store.read_stream(&stream, Start::Beginning, Forwards, 3).await.unwrap() {
        assert_eq!(store.read_at(event.position).await, Ok(Some(event)));
    }
    let far_beyond = Position(1 << 60);
    assert_eq!(store.read_at(far_beyond).await, Ok(None));
}

/// Reading all streams leaves out what the store writes for itself.
///
/// # Panics
/// If a system event is told.
pub async fn no_system_event_is_told(store: &impl EventStore) {
    stream_of(store, &new_stream(), 2).await;
    for (from, direction) in [(Start::Beginning, Forwards), (Start::End, Backwards)] {
        let events = store.read_all(from, direction, 10_000).await.unwrap();
        assert!(!events.is_empty());
        let system = events.iter().find(|event| event.stream.starts_with('$'));
        assert_eq!(system, None);
    }
}
