//! Batches become rows, once and in order.

use crate::given::*;
use domain::book::BookEvent;
use domain::{Evolve as _, book::Book};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use read_model::batch::{ApplyError, Batch, apply};
use read_model::sift::{Gaps, Trouble};
use std::collections::BTreeMap;

#[tokio::test]
async fn events_become_rows_of_both_views() {
    let url = read_models("events_become_rows").await;
    let mut writer = Writer::take(&url, "projector").await;
    let batch = happenings([
        warehoused(1, 123, "1.0", Some("해리 포터")),
        warehoused(2, 5, "1000000", None),
        renewed(1, "1.25"),
        warehoused(1, 7, "1.25", None),
        corrected(2, -5),
    ]);
    writer.apply(&batch).await.unwrap();

    let (stocks, admins) = rows(&url).await;
    let first = &stocks[0];
    assert_eq!(first.book_id, book(1));
    assert_eq!(first.name.as_ref().unwrap().as_str(), "해리 포터");
    assert_eq!((first.version.to_string(), first.stock), ("1.25".to_owned(), 107));
    assert_eq!((first.revision, first.position, first.occurred_at), (2, 19, at(0)));
    let second = &stocks[1];
    assert_eq!((second.name.as_ref(), second.version.to_string()), (None, "1000000.0".to_owned()));
    assert_eq!((second.stock, second.revision), (0, 1));
    assert_eq!(admins.len(), 2);
    assert_eq!((admins[0].book_stock, admins[0].book_version.to_string()), (107, "1.25".to_owned()));
    assert_eq!((admins[1].book_id, admins[1].book_stock, admins[1].revision), (book(2), 0, 1));
}

#[tokio::test]
async fn events_up_to_the_checkpoint_change_nothing_when_they_come_again() {
    let url = read_models("events_come_again").await;
    let mut writer = Writer::take(&url, "projector").await;
    let batch = happenings([warehoused(1, 1, "1.0", None), warehoused(1, 2, "1.0", None)]);
    writer.apply(&batch[..1]).await.unwrap();
    writer.apply(&batch).await.unwrap();
    let before = writer.checkpoint;
    writer.apply(&batch).await.unwrap();
    assert_eq!(writer.checkpoint, before);
    assert_eq!(rows(&url).await.0[0].stock, 3);
}

#[tokio::test]
async fn a_gap_changes_nothing() {
    let url = read_models("a_gap").await;
    let mut writer = Writer::take(&url, "projector").await;
    let mut batch = happenings((1..=4).map(|qty| warehoused(1, qty, "1.0", None)));
    writer.apply(&batch[..1]).await.unwrap();
    batch.remove(2);
    match writer.apply(&batch).await {
        Err(ApplyError::Gaps(gaps)) => {
            assert_eq!((gaps[0].book, gaps[0].expected, gaps[0].found), (book(1), 2, 3));
            assert_eq!(gaps.len(), 1);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(rows(&url).await.0[0].stock, 1);
    assert_eq!(Writer::take(&url, "projector").await.checkpoint, writer.checkpoint);
}

#[tokio::test]
async fn what_another_owner_wrote_meanwhile_is_not_taken_from_memory() {
    let url = read_models("another_owner_wrote").await;
    let batch = happenings((1..=3).map(|qty| warehoused(1, qty, "1.0", None)));
    let mut first = Writer::take(&url, "first").await;
    first.apply(&batch[..1]).await.unwrap();
    first.lease.hand_back(&first.connection).await.unwrap();
    let mut second = Writer::take(&url, "second").await;
    second.apply(&batch[1..2]).await.unwrap();
    second.lease.hand_back(&second.connection).await.unwrap();

    let mut first = Writer { writers: first.writers, ..Writer::take(&url, "first").await };
    first.apply(&batch[2..]).await.unwrap();
    assert_eq!(rows(&url).await.0[0].stock, 1 + 2 + 3);
}

#[tokio::test]
async fn what_was_not_committed_is_not_taken_from_memory() {
    let url = read_models("not_committed").await;
    let mut writer = Writer::take(&url, "projector").await;
    let batch = happenings((1..=3).map(|qty| warehoused(1, qty, "1.0", None)));
    writer.apply(&batch[..1]).await.unwrap();
    // The third movement's place is taken, so that neither it nor the second gets in.
    let taken =
        "INSERT INTO rm_1.book_history (position, book_id, movement, version, stock, revision, occurred_at)
                 VALUES (16, 9, 'Renewed', 1, 1, 0, now())";
    sql(&url, taken).await;
    assert!(matches!(writer.apply(&batch).await, Err(ApplyError::Database(error)) if error.is_taken()));
    sql(&url, "DELETE FROM rm_1.book_history WHERE position = 16").await;
    writer.apply(&batch[..2]).await.unwrap();
    writer.apply(&batch).await.unwrap();
    assert_eq!(rows(&url).await.0[0].stock, 1 + 2 + 3);
}

#[tokio::test]
async fn thousands_of_streams_that_are_poisoned_at_once_are_parked_at_once_and_the_others_flow() {
    const POISONED: u64 = 6_000;
    let url = read_models("poisoned_at_once").await;
    let mut writer = Writer::take(&url, "projector").await;
    // A slow database: parking takes more than a small batch may take, and less than one of so many events.
    let slowly = "CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS
                      $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$;
                  CREATE TRIGGER slowly AFTER INSERT ON bookstock.parked
                      FOR EACH STATEMENT EXECUTE FUNCTION public.slowly()";
    sql(&url, slowly).await;
    let happenings = happenings([warehoused(POISONED + 1, 5, "1.0", None)]);
    let unreadable = (1..=POISONED).map(|number| Trouble {
        book_id: book(number),
        revision: 0,
        position: 1_000 + number,
        event_id: uuid::Uuid::from_u128(number.into()),
        reason: format!("nobody can read {number}\0"),
    });
    let batch = Batch { happenings, unreadable: unreadable.collect() };
    let Writer { connection, lease, checkpoint, writers } = &mut writer;
    let applied = apply(connection, lease, *checkpoint, &batch, Gaps::Refuse, writers).await.unwrap();
    assert_eq!(applied.checkpoint.position, 1_000 + POISONED);

    let stocks: Vec<_> = rows(&url).await.0.iter().map(|row| (row.book_id, row.stock)).collect();
    assert_eq!(stocks, [(book(POISONED + 1), 5)]);
    let parked = read_model::parked::list(&writer.connection).await.unwrap();
    assert_eq!(parked.len() as u64, POISONED);
    let last = parked.last().unwrap();
    assert_eq!((last.book_id, last.revision, last.position), (book(POISONED), 0, 1_000 + POISONED));
    assert_eq!((last.reason.as_str(), last.retry), ("nobody can read 6000\u{fffd}", true));
}

#[tokio::test]
async fn the_first_generation_is_made_once_however_many_begin() {
    let url = crate::cluster::database("many_begin").await;
    let beginnings = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { set_up(&url).await })
    });
    for beginning in beginnings.collect::<Vec<_>>() {
        beginning.await.unwrap();
    }
}

/// Any events of a few books, and how they are split into batches.
fn histories() -> impl Strategy<Value = (Vec<BookEvent>, Vec<usize>)> {
    let event = prop_oneof![
        (1u64..5, 1u64..1_000_000, proptest::option::of("[a-z가-힣]{1,9}"))
            .prop_map(|(book, qty, name)| warehoused(book, qty, "1.0", name.as_deref())),
        (1u64..5, 1u32..1_000).prop_map(|(book, version)| renewed(book, &format!("{version}.5"))),
        (1u64..5, 1i64..1_000).prop_map(|(book, delta)| corrected(book, delta * 3 - 1_000)),
    ];
    (prop::collection::vec(event, 1..40), prop::collection::vec(1usize..9, 40))
}

#[tokio::test(flavor = "multi_thread")]
async fn however_history_is_split_into_batches_the_rows_equal_the_fold() {
    let url = read_models("however_split").await;
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
        TestRunner::new(config).run(&histories(), |(events, sizes)| {
            runtime.block_on(check(&url, &events, &sizes));
            Ok(())
        })
    };
    tokio::task::spawn_blocking(run).await.unwrap().unwrap();
}

async fn check(url: &str, events: &[BookEvent], sizes: &[usize]) {
    sql(
        url,
        "TRUNCATE rm_1.streams, rm_1.book_stock, rm_1.admin_list, rm_1.book_history;
         UPDATE bookstock.projection SET position = 0, event_id = NULL",
    )
    .await;
    let mut writer = Writer::take(url, "projector").await;
    let all = happenings(events.iter().cloned());
    let mut rest = &all[..];
    for size in sizes {
        let (batch, after) = rest.split_at((*size).min(rest.len()));
        writer.apply(batch).await.unwrap();
        rest = after;
    }
    let mut books: BTreeMap<_, Book> = BTreeMap::new();
    for event in events {
        let book = books.remove(&event.book_id()).unwrap_or_default();
        books.insert(event.book_id(), book.evolve(event));
    }
    books.retain(|_, book| book.holding().is_some());
    let (stocks, admins) = rows(url).await;
    assert_eq!((stocks.len(), admins.len()), (books.len(), books.len()));
    for ((stock, admin), (id, book)) in stocks.iter().zip(&admins).zip(&books) {
        let holding = book.holding().unwrap();
        assert_eq!((stock.book_id, admin.book_id), (*id, *id));
        assert_eq!(
            (&stock.name, stock.version, stock.stock),
            (&holding.name, holding.edition, holding.stock)
        );
        assert_eq!((admin.book_version, admin.book_stock), (holding.edition, holding.stock));
        assert_eq!((stock.occurred_at, admin.occurred_at), (holding.occurred_at, holding.occurred_at));
        let last = all.iter().rfind(|happening| happening.book_id == *id).unwrap();
        assert_eq!((stock.revision, stock.position), (last.revision, last.position));
        assert_eq!((admin.revision, admin.position), (last.revision, last.position));
    }
}
