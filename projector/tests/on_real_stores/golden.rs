//! What users of other systems met, each with the place where they tell of it. None of it happens here. Two more are in
//! `read-model/tests/on_postgres/golden.rs` and `replay/tests/on_real_stores/golden.rs`.

use crate::cluster;
use crate::given::*;
use crate::store::Store;
use crate::wire::{Fate, Wire, contains};

/// An event that becomes visible after later ones were projected was never projected:
/// <https://github.com/JasperFx/marten/issues/4952>, <https://github.com/JasperFx/marten/issues/4964>.
#[tokio::test(flavor = "multi_thread")]
async fn late_commit_an_event_that_comes_after_later_ones_were_projected_is_not_lost() {
    let (store, url) = (Store::start(), cluster::database("late_commit").await);
    let held = |event: &[u8]| if contains(event, r#""qty":77"#) { Fate::Held } else { Fate::Comes };
    let wire = Wire::to(&store.url(), held).await;
    let projector = Running::start_as(None, wire.url(), &url);
    let reader = reader(&url);
    warehouse(&store, 1, &[5]).await;
    warehouse(&store, 2, &[77]).await;
    let last = warehouse(&store, 3, &[6]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(1, 5), (3, 6)]);

    wire.let_go();
    // No other event of its stream has to come for that.
    until("it is projected", async || stocks(&reader).await == [(1, 5), (2, 77), (3, 6)]).await;
    let last = warehouse(&store, 2, &[1]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(1, 5), (2, 78), (3, 6)]);
    assert_eq!(all_parked(&url).await, []);
    projector.stop().await;
}

/// The same, and it is never told at all, because whoever was to tell it died meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn late_commit_an_event_that_nobody_told_is_found_by_whoever_follows_next() {
    let (store, url) = (Store::start(), cluster::database("late_commit_untold").await);
    let held = |event: &[u8]| if contains(event, r#""qty":77"#) { Fate::Held } else { Fate::Comes };
    let wire = Wire::to(&store.url(), held).await;
    let projector = Running::start_as(None, wire.url(), &url);
    let reader = reader(&url);
    warehouse(&store, 1, &[5]).await;
    warehouse(&store, 2, &[77]).await;
    let last = warehouse(&store, 3, &[6]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    projector.crash().await;
    assert_eq!(stocks(&reader).await, [(1, 5), (3, 6)]);

    let projector = Running::start_as(None, wire.url(), &url);
    until("it is projected", async || stocks(&reader).await == [(1, 5), (2, 77), (3, 6)]).await;
    projector.stop().await;
}

/// A subscription told a position ahead of the last event; whoever saved it as the checkpoint never got the next event:
/// <https://github.com/kurrent-io/KurrentDB/issues/4970>.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoint_ahead_of_the_log_only_positions_of_applied_events_are_saved() {
    let (store, url) = (Store::start(), cluster::database("checkpoint_ahead").await);
    let reader = reader(&url);
    let client = connect(&url).await;
    let mut stock = 0;
    for round in 1..=3 {
        let projector = Running::start(&store, &url);
        let last = warehouse(&store, 1, &[round]).await;
        // The store tells how far it is past these, though none of them is a book's.
        let shelves = vec![("Built".to_owned(), b"{}".to_vec()); 2_500];
        let end = store.append("shelf-1", shelves).await;
        assert!(end > last);
        reader.wait_for(last, PATIENCE).await.unwrap();
        projector.stop().await;
        let saved = client.query_one("SELECT position, event_id::text FROM bookstock.projection", &[]).await;
        let saved: i64 = saved.unwrap().get(0);
        assert_eq!(u64::try_from(saved).unwrap(), last);
        stock += u32::try_from(round).unwrap();
        assert_eq!(stocks(&reader).await, [(1, stock)]);
    }
}

/// The log was set back behind the checkpoint, and what it holds there now is something else.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoint_ahead_of_the_log_a_log_that_was_set_back_is_refused_also_when_it_has_grown_again() {
    let (store, url) = (Store::start(), cluster::database("set_back").await);
    let last = warehouse(&store, 1, &[5, 6, 7]).await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    store.kill();
    store.start_empty();
    until("it shows", async || projector.readiness().await.contains("replay rebuild")).await;

    let grown = store.append("book-2", vec![("Shredded".to_owned(), b"{}".to_vec()); 10]).await;
    assert!(grown > last);
    projector.stop().await;
    let projector = Running::start(&store, &url);
    until("it shows", async || projector.readiness().await.contains("replay rebuild")).await;
    assert_eq!(stocks(&reader).await, [(1, 18)]);
    assert_eq!(all_parked(&url).await, []);
    projector.stop().await;
}

/// One projection ran on two nodes at once: <https://github.com/JasperFx/wolverine/issues/4240>; locks that are to prevent
/// it do not, behind a connection pooler: <https://github.com/event-driven-io/emmett/issues/328>. That a paused owner
/// which wakes up writes nothing is campaign P5; here both are awake, and each thinks that it is the owner.
#[tokio::test(flavor = "multi_thread")]
async fn two_owners_that_take_the_lease_from_each_other_write_nothing_twice() {
    let (store, url) = (Store::start(), cluster::database("two_owners").await);
    let [one, other] = [(); 2].map(|()| Running::start_as(Some("the same"), store.url(), &url));
    let (reader, client) = (reader(&url), connect(&url).await);
    until("both were the owner", async || {
        // The first of the two makes the tables.
        let rows = client.query("SELECT epoch FROM bookstock.projection", &[]).await.unwrap_or_default();
        rows.iter().any(|row| row.get::<_, i64>("epoch") > 1)
    })
    .await;
    let mut last = 0;
    for _ in 0..20 {
        for book in 1..=5 {
            last = warehouse(&store, book, &[1; 10]).await;
        }
    }
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [1, 2, 3, 4, 5].map(|book| (book, 200)));
    let history = "SELECT count(*), count(DISTINCT (book_id, revision)) FROM rm_1.book_history";
    let history = client.query_one(history, &[]).await.unwrap();
    assert_eq!((history.get::<_, i64>(0), history.get::<_, i64>(1)), (1_000, 1_000));
    assert_eq!(all_parked(&url).await, []);
    one.stop().await;
    other.stop().await;
}
