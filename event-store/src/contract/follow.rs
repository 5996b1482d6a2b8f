//! Following: history, then live, each event once and in order.

use super::{append, ids, new_events, new_stream, stored_ids, stream_of};
use crate::{Direction, EventStore, Expected, Filter, Follow, Heard, Start, StoredEvent};
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt as _};
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a follower waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A follower hears what there is, then that it has caught up, then what is new.
///
/// # Panics
/// If it hears something else.
pub async fn history_comes_first_then_caught_up_then_what_is_new(store: &impl EventStore) {
    let stream = new_stream();
    let history = stream_of(store, &stream, 3).await;
    let mut heard = store.follow(Follow::FromBeginning, prefixes([&stream]));
    assert_eq!(stored_ids(&events(&mut heard, 3).await), ids(&history));
    caught_up(&mut heard).await;
    let live = new_events(2);
    append(store, &stream, Expected::Revision(2), &live).await;
    let heard = events(&mut heard, 2).await;
    assert_eq!(stored_ids(&heard), ids(&live));
    let read = store.read_stream(&stream, Start::At(3), Direction::Forwards, 10).await.unwrap();
    assert_eq!(heard, read, "what is heard is what is read");
}

/// Following after a position leaves out the event there and all before it.
///
/// # Panics
/// If it does not.
pub async fn following_after_a_position_begins_with_the_next_event(store: &impl EventStore) {
    let stream = new_stream();
    let history = stream_of(store, &stream, 4).await;
    let second = store.read_stream(&stream, Start::At(1), Direction::Forwards, 1).await.unwrap().remove(0);
    let mut heard = store.follow(Follow::After(second.position), prefixes([&stream]));
    assert_eq!(stored_ids(&events(&mut heard, 2).await), ids(&history[2..]));

    let last = store.read_stream(&stream, Start::End, Direction::Backwards, 1).await.unwrap().remove(0);
    let mut heard = store.follow(Follow::After(last.position), prefixes([&stream]));
    caught_up(&mut heard).await;
    let live = new_events(1);
    append(store, &stream, Expected::Revision(3), &live).await;
    assert_eq!(stored_ids(&events(&mut heard, 1).await), ids(&live));
}

/// A follower with prefixes hears the streams whose names begin with one of them, and no others.
///
/// # Panics
/// If it hears another one, or not all of them.
pub async fn only_streams_with_one_of_the_prefixes_are_heard(store: &impl EventStore) {
    let name = new_stream();
    let [book, user, other] = ["book", "user", "other"].map(|kind| format!("{name}-{kind}-1"));
    let filter = prefixes([&format!("{name}-book-"), &format!("{name}-user-")]);
    let mut heard = store.follow(Follow::FromBeginning, filter);
    let mut expected = Vec::new();
    for (stream, wanted) in [(&other, false), (&book, true), (&format!("x{book}"), false), (&user, true)] {
        let appended = stream_of(store, stream, 2).await;
        if wanted {
            expected.extend(ids(&appended));
        }
    }
    assert_eq!(stored_ids(&events(&mut heard, 4).await), expected);
}

/// A follower without prefixes hears all streams but the store's own.
///
/// # Panics
/// If it hears a system event, or not what was appended.
pub async fn without_prefixes_all_but_system_streams_are_heard(store: &impl EventStore) {
    let stream = new_stream();
    let appended = ids(&stream_of(store, &stream, 2).await);
    let mut heard = store.follow(Follow::FromBeginning, Filter::default());
    let mut own = Vec::new();
    while own.len() < appended.len() {
        let event = events(&mut heard, 1).await.remove(0);
        assert!(!event.stream.starts_with('$'), "heard {}@{}", event.revision, event.stream);
        if event.stream == stream {
            own.push(event.id);
        }
    }
    assert_eq!(own, appended);
}

/// While many append, a follower hears each event once: by position, and by revision within each stream.
///
/// # Panics
/// If it misses one, hears one twice, or hears them in another order.
pub async fn a_follower_hears_each_event_once_and_in_order(store: &impl EventStore) {
    const STREAMS: usize = 8;
    const EVENTS: usize = 40;
    let name = new_stream();
    let mut heard = store.follow(Follow::FromBeginning, prefixes([&name]));
    let streams: Vec<String> = (0..STREAMS).map(|number| format!("{name}-{number}")).collect();
    let appends = join_all(streams.iter().map(|stream| one_by_one(store, stream, EVENTS)));
    let (appended, heard) = tokio::join!(appends, events(&mut heard, STREAMS * EVENTS));

    assert!(heard.is_sorted_by(|left, right| left.position < right.position));
    for (stream, appended) in streams.iter().zip(appended) {
        let of_stream: Vec<StoredEvent> =
            heard.iter().filter(|event| event.stream == *stream).cloned().collect();
        assert_eq!(stored_ids(&of_stream), appended);
        assert!((0..).zip(&of_stream).all(|(revision, event)| event.revision == revision));
    }
}

async fn one_by_one(store: &impl EventStore, stream: &str, count: usize) -> Vec<Uuid> {
    let events = new_events(count);
    let mut expected = Expected::NoStream;
    for event in &events {
        let appended = append(store, stream, expected, std::slice::from_ref(event)).await;
        expected = Expected::Revision(appended.revision);
    }
    ids(&events)
}

fn prefixes<const N: usize>(prefixes: [&String; N]) -> Filter {
    Filter { stream_prefixes: prefixes.map(String::clone).to_vec() }
}

/// The next `count` events, whatever else is heard between them.
async fn events(heard: &mut (impl Stream<Item = Heard> + Unpin), count: usize) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    while events.len() < count {
        if let Heard::Event(event) = next(heard).await {
            events.push(event);
        }
    }
    events
}

/// Waits for the end of the history, where no further event may come before it.
async fn caught_up(heard: &mut (impl Stream<Item = Heard> + Unpin)) {
    assert_eq!(next(heard).await, Heard::CaughtUp);
}

async fn next(heard: &mut (impl Stream<Item = Heard> + Unpin)) -> Heard {
    timeout(PATIENCE, heard.next()).await.expect("something is heard in time").expect("following never ends")
}
