//! Streams that wait: who changes them waits for others who do, and never for one who waits for him.

use crate::given::*;
use read_model::batch::{Batch, apply};
use read_model::sift::{Gaps, Trouble};
use read_model::{generation, parked};

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
            generation::drop_one(&mut connection, i32::try_from(generation).unwrap()).await.unwrap();
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
