//! Streams that wait: who changes them waits for others who do, and never for one who waits for him.

use crate::given::*;
use read_model::batch::{Batch, apply};
use read_model::database::Connection;
use read_model::generation::{self, KeptError};
use read_model::parked;
use read_model::sift::{Gaps, Trouble};
use tokio_postgres::error::SqlState;

/// So many books wait in each generation, and so often everybody does what he does.
const BOOKS: u64 = 200;
const TIMES: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn whoever_changes_the_streams_that_wait_does_so_in_one_order() {
    let url = read_models("one_order").await;
    sql(&url, "UPDATE bookstock.projection SET sorted = true").await;
    let Writer { mut connection, lease, mut checkpoint, mut writers } = Writer::take(&url, "projector").await;
    // Stored in an order that is neither that of the generations nor that of the books.
    let kept = "INSERT INTO bookstock.projection (generation, fold_version, sorted, stage)
                    SELECT {}, fold_version, true, 'kept' FROM bookstock.projection WHERE generation = 1;
                INSERT INTO bookstock.parked (generation, book_id, revision, position, reason)
                    SELECT generation, book_id, 0, 1, 'test' FROM generate_series(1, 200) AS book_id,
                        (VALUES (1), ({})) AS made (generation) ORDER BY random() ON CONFLICT DO NOTHING";
    let kept = |generation: u64| kept.replace("{}", &generation.to_string());
    sql(&url, &kept(2)).await;

    let asking = async |book: Option<u64>| {
        let connection = connect(&url).await;
        for time in 0..TIMES {
            let book = book.map(|first| crate::given::book((first + time) % BOOKS + 1));
            assert!(
                parked::ask_retry(&connection, book).await.unwrap() >= if book.is_some() { 2 } else { BOOKS }
            );
        }
    };
    let dropping = async {
        let mut connection = connect(&url).await;
        for generation in 3..TIMES {
            sql(&url, &kept(generation)).await;
            drop_patiently(&mut connection, i32::try_from(generation).unwrap()).await;
        }
    };
    let beginning = async {
        let connection = connect(&url).await;
        for _ in 0..TIMES {
            parked::retry_all(&connection, &lease).await.unwrap();
            sql(&url, "UPDATE bookstock.parked SET retry = false WHERE generation = 1 AND book_id = 7").await;
        }
    };
    let projecting = async {
        for time in 1..=TIMES {
            let later = |number| Trouble {
                book_id: book(number),
                revision: time,
                position: time * BOOKS + number,
                event_id: uuid::Uuid::from_u128((time * BOOKS + number).into()),
                reason: "test".to_owned(),
            };
            let batch = Batch { happenings: Vec::new(), unreadable: (1..=BOOKS).map(later).collect() };
            let (connection, writers) = (&mut connection, &mut writers);
            let applied = apply(connection, &lease, checkpoint, &batch, Gaps::Refuse, writers).await;
            checkpoint = applied.unwrap().checkpoint;
        }
    };
    tokio::join!(
        asking(None),
        asking(None),
        asking(Some(1)),
        asking(Some(1)),
        dropping,
        beginning,
        projecting
    );
    let waiting = parked::list(&connect(&url).await).await.unwrap();
    assert_eq!(waiting.len() as u64, 2 * BOOKS);
    assert!(waiting.iter().all(|one| one.later == if one.generation == 1 { TIMES } else { 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_is_dropped_with_its_streams_in_that_order_too() {
    let url = read_models("dropped_in_order").await;
    let backwards = "INSERT INTO bookstock.projection (generation, fold_version, sorted, stage) VALUES (2, 1, true, 'kept');
                     INSERT INTO bookstock.parked (generation, book_id, revision, position, reason)
                         SELECT 2, book_id, 0, 1, 'test' FROM generate_series(200, 1, -1) AS book_id";
    sql(&url, backwards).await;
    let another = client(&url).await;
    let first = "BEGIN; SELECT FROM bookstock.parked WHERE generation = 2 AND book_id = 1 FOR UPDATE";
    another.batch_execute(first).await.unwrap();
    let dropping = tokio::spawn({
        let url = url.clone();
        async move { drop_patiently(&mut connect(&url).await, 2).await }
    });
    somebody_waits(&url).await;
    let last =
        "SELECT FROM bookstock.parked WHERE generation = 2 AND book_id = 200 FOR UPDATE NOWAIT; COMMIT";
    another.batch_execute(last).await.unwrap();
    dropping.await.unwrap();
    assert_eq!(generation::list(&connect(&url).await).await.unwrap().len(), 1);
}

/// On a busy machine somebody may keep it waiting for long. A deadlock is something else.
async fn drop_patiently(connection: &mut Connection, generation: i32) {
    while let Err(error) = generation::drop_one(connection, generation).await {
        let KeptError::Database(error) = error else { panic!("{error}") };
        assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{error}");
    }
}
