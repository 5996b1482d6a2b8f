//! What any event store behind the port must do, as a suite to run against it: [`all`], or one behaviour at a time.
//!
//! The suite writes to streams of its own, named `contract-…`, so it may run on a store that others use.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "this is a test that other crates run; each run needs names of its own, in a store that keeps everything"
)]

mod append;
mod follow;
mod read;

pub use append::*;
pub use follow::*;
pub use read::*;

use crate::{Appended, ContentType, EventStore, Expected, NewEvent, StoredEvent};
use bytes::Bytes;
use uuid::Uuid;

/// Runs every behaviour against `store`.
///
/// # Panics
/// With what was expected and what was found, if the store does not behave.
pub async fn all(store: &impl EventStore) {
    a_ping_is_answered(store).await;

    a_new_stream_begins_at_revision_zero(store).await;
    an_append_goes_on_from_the_last_revision(store).await;
    a_stream_that_exists_is_a_conflict_for_one_who_expects_none(store).await;
    another_revision_than_the_last_is_a_conflict(store).await;
    a_missing_stream_is_a_conflict_for_one_who_expects_a_revision(store).await;
    the_same_append_again_is_answered_as_the_first_time(store).await;
    the_first_events_of_an_append_again_are_answered_as_stored(store).await;
    an_append_that_only_begins_like_a_stored_one_is_a_conflict(store).await;
    of_many_who_expect_the_same_one_wins(store).await;
    a_conflict_is_nothing_to_the_other_streams(store).await;
    an_append_of_nothing_is_refused(store).await;
    a_big_event_comes_back_whole(store).await;

    an_event_comes_back_as_it_was_given(store).await;
    a_missing_stream_is_empty(store).await;
    a_stream_is_read_both_ways_from_anywhere_up_to_a_limit(store).await;
    a_long_stream_is_read_to_its_end(store).await;
    all_streams_are_read_in_the_order_of_their_appends(store).await;
    nothing_lies_before_the_beginning_or_after_the_end(store).await;
    the_event_at_a_position_is_found(store).await;
    no_system_event_is_told(store).await;

    history_comes_first_then_caught_up_then_what_is_new(store).await;
    following_after_a_position_begins_with_the_next_event(store).await;
    only_streams_with_one_of_the_prefixes_are_heard(store).await;
    without_prefixes_all_but_system_streams_are_heard(store).await;
    a_follower_hears_each_event_once_and_in_order(store).await;
}

/// The store answers a ping.
///
/// # Panics
/// If it does not.
pub async fn a_ping_is_answered(store: &impl EventStore) {
    assert_eq!(store.ping().await, Ok(()));
}

/// A stream name that no one has used.
fn new_stream() -> String {
    format!("contract-{}", Uuid::new_v4().simple())
}

/// Events with ids of their own and data that tells them apart.
fn new_events(count: usize) -> Vec<NewEvent> {
    let event = |number| NewEvent {
        id: Uuid::new_v4(),
        event_type: "Warehoused".to_owned(),
        content_type: ContentType::Json,
        data: Bytes::from(format!(r#"{{"number":{number},"name":"재고 \"관리\""}}"#)),
        metadata: Bytes::from(format!(r#"{{"schemaVersion":1,"of":{count}}}"#)),
    };
    (0..count).map(event).collect()
}

/// Appends to a stream where nothing is in the way.
async fn append(store: &impl EventStore, stream: &str, expected: Expected, events: &[NewEvent]) -> Appended {
    store.append(stream, expected, events.to_vec()).await.expect("nothing is in the way of this append")
}

/// Makes a stream of `count` events and answers them as given.
async fn stream_of(store: &impl EventStore, stream: &str, count: usize) -> Vec<NewEvent> {
    let events = new_events(count);
    append(store, stream, Expected::NoStream, &events).await;
    events
}

fn ids(events: &[NewEvent]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

fn stored_ids(events: &[StoredEvent]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}
