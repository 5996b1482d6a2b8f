//! What cannot be applied is never skipped: its stream waits, and all others go on.

use crate::cluster;
use crate::given::*;
use crate::store::Store;
use crate::wire::{Fate, Wire, contains};
use event_store::{Kurrent, Options};
use read_model::lease::{Lease, WRITER_SETTINGS};
use read_model::{Database, generation, migrate, parked};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

async fn connection(url: &str) -> read_model::database::Connection {
    let database: Database = url.parse().unwrap();
    database.connect("test", WRITER_SETTINGS).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_stream_waits_there_and_all_others_flow() {
    let (store, url) = (Store::start(), cluster::database("poisoned").await);
    let kinds = poison(1).len() as u64;
    assert_eq!(kinds, 20);
    for book in 1..=kinds {
        warehouse(&store, book, &[5]).await;
        append_poison(&store, book, usize::try_from(book - 1).unwrap()).await;
        warehouse(&store, book, &[7]).await;
    }
    let last = warehouse(&store, 100, &[1, 2, 3]).await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();

    let expected: Vec<(u64, u32)> = (1..=kinds).map(|book| (book, 5)).chain([(100, 6)]).collect();
    assert_eq!(stocks(&reader).await, expected);
    let parked = all_parked(&url).await;
    let places: Vec<_> = parked.iter().map(|one| (one.book_id.get(), one.revision, one.later)).collect();
    assert_eq!(places, (1..=kinds).map(|book| (book, 1, 1)).collect::<Vec<_>>());
    assert!(parked.iter().all(|one| one.reason.starts_with("event 1 ")), "{parked:?}");
    until("it is ready", async || projector.is_ready().await).await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_stream_goes_on_when_its_unreadable_event_is_skipped() {
    let (store, url) = (Store::start(), cluster::database("skipped").await);
    warehouse(&store, 1, &[5]).await;
    store.append("book-1", vec![("Shredded".to_owned(), b"{}".to_vec())]).await;
    let last = warehouse(&store, 1, &[7]).await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("it is parked", async || all_parked(&url).await.len() == 1).await;

    // Asking alone changes nothing.
    assert_eq!(parked::ask_retry(&connection(&url).await, Some(1u64.try_into().unwrap())).await.unwrap(), 1);
    until("it was tried again", async || all_parked(&url).await.iter().all(|one| !one.retry)).await;
    assert_eq!(stocks(&reader).await, [(1, 5)]);

    skip(&store, 1, 1).await;
    until("it goes on", async || stocks(&reader).await == [(1, 12)]).await;
    assert_eq!(all_parked(&url).await, []);
    let last = warehouse(&store, 1, &[1]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(1, 13)]);

    // Also an event that this projector has applied.
    skip(&store, 1, 2).await;
    until("it is folded anew", async || stocks(&reader).await == [(1, 6)]).await;
    assert_eq!(all_parked(&url).await, []);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_that_are_poisoned_at_once_do_not_keep_the_lease_from_being_renewed() {
    const POISONED: u64 = 30;
    let (store, url) = (Store::start(), cluster::database("many_poisoned").await);
    let reader = reader(&url);
    let before = Running::start(&store, &url);
    let first = warehouse(&store, 100, &[5]).await;
    reader.wait_for(first, PATIENCE).await.unwrap();
    before.stop().await;
    // To find of each that it has to wait on takes a moment, and of all together longer than the lease lasts.
    let client = connect(&url).await;
    client
        .batch_execute(
            "CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM pg_sleep(0.2); RETURN NEW; END $$;
             CREATE TRIGGER slowly BEFORE UPDATE ON bookstock.parked FOR EACH ROW
                 WHEN (OLD.retry AND NOT NEW.retry) EXECUTE FUNCTION public.slowly()",
        )
        .await
        .unwrap();
    for book in 1..=POISONED {
        append_poison(&store, book, 0).await;
    }
    let active = Running::start(&store, &url);
    until("it is active", async || active.readiness().await.contains("active")).await;
    let epoch = async || -> i64 {
        client.query_one("SELECT epoch FROM bookstock.projection", &[]).await.unwrap().get(0)
    };
    let (ours, standby) = (epoch().await, Running::start(&store, &url));
    until("each waits on", async || {
        let parked = all_parked(&url).await;
        parked.len() as u64 == POISONED && parked.iter().all(|one| !one.retry)
    })
    .await;
    assert_eq!(epoch().await, ours, "nobody took the lease meanwhile");
    let last = warehouse(&store, 100, &[7]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(100, 12)]);
    for projector in [standby, active] {
        projector.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_stream_that_takes_longer_to_read_than_the_lease_lasts_does_not_cost_the_lease() {
    let (store, url) = (Store::start(), cluster::database("long_poisoned").await);
    append_poison(&store, 1, 0).await;
    for _ in 0..4 {
        warehouse(&store, 1, &[1; 1_000]).await;
    }
    let last = warehouse(&store, 2, &[5]).await;
    // Each of the five pages takes longer than an owner may be silent within a transaction, and all of them longer than the
    // lease lasts.
    let slow = |event: &[u8]| Duration::from_millis(1_200 * u64::from(contains(event, "book-1")));
    let wire = Wire::slow_to(&store.url(), slow).await;
    let active = Running::start_as(None, wire.url(), &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    let waits_on = async || {
        let parked = all_parked(&url).await;
        parked.len() == 1 && parked.iter().all(|one| one.later == 4_000 && !one.retry)
    };
    until("it waits on", &waits_on).await;
    let standby = Running::start(&store, &url);
    until("one stands by", async || standby.readiness().await.contains("standing by")).await;
    let client = connect(&url).await;
    let epoch = async || -> i64 {
        client.query_one("SELECT epoch FROM bookstock.projection", &[]).await.unwrap().get(0)
    };
    let ours = epoch().await;
    parked::ask_retry(&connection(&url).await, None).await.unwrap();
    until("it was tried again", &waits_on).await;
    assert_eq!(epoch().await, ours, "nobody took the lease meanwhile");
    let last = warehouse(&store, 2, &[7]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(2, 12)]);

    skip(&store, 1, 0).await;
    until("it was folded anew", async || stocks(&reader).await == [(1, 4_000), (2, 12)]).await;
    let last = warehouse(&store, 2, &[1]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(epoch().await, ours, "nobody took the lease meanwhile, nor after it");
    for projector in [standby, active] {
        projector.stop().await;
    }
}

/// As if events had been left out before: the read models of a book are at its first event, and the checkpoint is ahead.
async fn leave_out_all_but_the_first(url: &str, book: u64) {
    let sql = format!(
        "UPDATE rm_1.streams SET revision = 0 WHERE book_id = {book};
         UPDATE rm_1.book_stock SET stock = 5, revision = 0 WHERE book_id = {book};
         UPDATE rm_1.admin_list SET book_stock = 5, revision = 0 WHERE book_id = {book};
         DELETE FROM rm_1.book_history WHERE revision > 0 AND book_id = {book}"
    );
    connect(url).await.batch_execute(&sql).await.unwrap();
}

/// The views have the first of two events of book 1, and the checkpoint is so far on that nobody looks back at the second, which is
/// at the position that this gives.
async fn leave_out_the_second_far_back(store: &Store, url: &str) -> u64 {
    let second = warehouse(store, 1, &[5, 6]).await;
    let last = warehouse(store, 2, &[1; 1_100]).await;
    let projector = Running::start(store, url);
    reader(url).wait_for(last, PATIENCE).await.unwrap();
    projector.stop().await;
    leave_out_all_but_the_first(url, 1).await;
    second
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_a_gap_is_read_again_and_heals_or_waits() {
    let (store, url) = (Store::start(), cluster::database("gap").await);
    leave_out_the_second_far_back(&store, &url).await;
    let reader = reader(&url);

    let projector = Running::start(&store, &url);
    let last = warehouse(&store, 1, &[7]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("it is healed", async || stocks(&reader).await == [(1, 18), (2, 1_100)]).await;
    assert_eq!(all_parked(&url).await, []);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gap_is_read_again_and_not_only_the_first_of_a_shift() {
    let (store, url) = (Store::start(), cluster::database("each_gap").await);
    for book in 1..=2 {
        warehouse(&store, book, &[5, 6]).await;
    }
    // Of book 2, an event is held back: read once more, it is there.
    let wire = Wire::to(&store.url(), {
        let told = AtomicBool::new(false);
        move |event| {
            let is_it = contains(event, r#""qty":77"#);
            if is_it && !told.swap(true, Ordering::Relaxed) { Fate::Held } else { Fate::Comes }
        }
    })
    .await;
    let projector = Running::start_as(None, wire.url(), &url);
    let reader = reader(&url);
    let last = warehouse(&store, 3, &[1]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    projector.stop().await;
    leave_out_all_but_the_first(&url, 1).await;
    let filler = warehouse(&store, 3, &[1; 1_100]).await;
    let projector = Running::start_as(None, wire.url(), &url);
    reader.wait_for(filler, PATIENCE).await.unwrap();

    // The first gap of the shift parks its stream: it is there when read again. The second one is not.
    let last = warehouse(&store, 1, &[7]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("the first is healed", async || stocks(&reader).await[0] == (1, 18)).await;
    let parked = "CREATE TABLE public.was_parked (book_id bigint);
        CREATE FUNCTION public.was_parked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.was_parked VALUES (NEW.book_id); RETURN NEW; END $$;
        CREATE TRIGGER was_parked AFTER INSERT ON bookstock.parked FOR EACH ROW EXECUTE FUNCTION public.was_parked()";
    let client = connect(&url).await;
    client.batch_execute(parked).await.unwrap();
    warehouse(&store, 2, &[77]).await;
    let last = warehouse(&store, 2, &[1]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(1, 18), (2, 89), (3, 1_101)]);
    assert!(
        client.query("SELECT FROM public.was_parked", &[]).await.unwrap().is_empty(),
        "it was read once more"
    );
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_could_not_be_tried_again_while_the_event_store_was_away_is_tried_when_it_is_back() {
    let (store, url) = (Store::start(), cluster::database("tried_later").await);
    let last = warehouse(&store, 1, &[5, 6]).await;
    let reader = reader(&url);
    let projector = Running::start(&store, &url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    projector.stop().await;
    leave_out_all_but_the_first(&url, 1).await;
    let last = warehouse(&store, 2, &[1; 1_100]).await;
    let projector = Running::start(&store, &url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    // Whoever parks a stream waits here.
    let client = connect(&url).await;
    client
        .batch_execute(
            "CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$ BEGIN
                 PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
             CREATE TRIGGER hold BEFORE INSERT ON bookstock.parked FOR EACH ROW EXECUTE FUNCTION public.hold();
             SELECT pg_advisory_lock(1)",
        )
        .await
        .unwrap();
    let waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    warehouse(&store, 1, &[7]).await;
    until("it is being parked", async || !client.query(waits, &[]).await.unwrap().is_empty()).await;
    store.kill();
    client.batch_execute("SELECT pg_advisory_unlock(1)").await.unwrap();
    until("it is parked", async || all_parked(&url).await.len() == 1).await;
    assert!(all_parked(&url).await[0].retry, "it is to be tried again");

    store.start_again();
    until("it is healed", async || stocks(&reader).await == [(1, 18), (2, 1_100)]).await;
    assert_eq!(all_parked(&url).await, []);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_never_comes_back_to_a_stream_is_told_that_it_could_not_be_read() {
    let url = cluster::database("never_comes_back").await;
    migrate(&url).await.unwrap();
    let mut rebuilding = connection(&url).await;
    generation::active_or_first(&mut rebuilding, projector::VIEWS).await.unwrap();
    let taken = Lease::take(&rebuilding, 1, "a rebuild", PATIENCE).await.unwrap();
    let (lease, checkpoint) = taken.expect("nobody else has it");
    let away = Kurrent::connect("esdb://127.0.0.1:1?tls=false", Options::default()).unwrap();
    let book = 1u64.try_into().unwrap();
    let tried = projector::try_again(&away, &mut rebuilding, &lease, checkpoint, book).await;
    assert!(tried.is_err(), "a stream that was not read counts as one that waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_becomes_active_tries_every_parked_stream_again_however_long_ago_it_was_parked() {
    let (store, url) = (Store::start(), cluster::database("understands").await);
    // As a projector leaves it that did not understand the second event.
    let parked_at = leave_out_the_second_far_back(&store, &url).await;
    let sql = format!(
        "INSERT INTO bookstock.parked (generation, book_id, revision, position, reason, retry)
         VALUES (1, 1, 1, {parked_at}, 'it is new', false)"
    );
    connect(&url).await.batch_execute(&sql).await.unwrap();

    let projector = Running::start(&store, &url);
    until("it goes on", async || all_parked(&url).await.is_empty()).await;
    let rows = "SELECT FROM rm_1.book_stock WHERE book_id = 1 AND revision = 1 AND stock = 11";
    assert_eq!(connect(&url).await.query(rows, &[]).await.unwrap().len(), 1);
    projector.stop().await;
}
