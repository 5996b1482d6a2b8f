//! Queries: right, bounded in time, and with their position.

use crate::cluster::Cluster;
use crate::given::*;
use read_model::past::{self, Moment};
use read_model::{
    Behind, Column, Filter, ListRequest, Order, Place, Reader, ReaderError, ReaderOptions, State, admin_list,
    book_history, book_stock,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything that works takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn with_books(name: &str) -> String {
    let url = read_models(name).await;
    let mut writer = Writer::take(&url, "projector").await;
    let stocks = [30, 10, 20, 10, 40].into_iter().zip(1..);
    let names = [Some("나"), None, Some("가"), Some("b"), Some("A")];
    let events = stocks.zip(names).map(|((qty, number), name)| warehoused(number, qty, "1.0", name));
    writer.apply(&happenings(events)).await.unwrap();
    url
}

async fn ids(reader: &Reader, page: u64, size: u32, sort: &[(Column, Order)]) -> (Vec<u64>, u64) {
    let place = Place::Page(page);
    let request = ListRequest { filter: Filter::default(), sort: sort.to_vec(), place, size };
    let page = book_stock::list(reader, &request).await.unwrap().value;
    (page.rows.iter().map(|row| row.book_id.get()).collect(), page.total.unwrap())
}

#[tokio::test]
async fn pages_are_sorted_counted_and_do_not_overlap() {
    let reader = reader(&with_books("pages").await);
    assert_eq!(ids(&reader, 0, 3, &[]).await, (vec![1, 2, 3], 5));
    assert_eq!(ids(&reader, 1, 3, &[]).await, (vec![4, 5], 5));
    assert_eq!(ids(&reader, 2, 3, &[]).await, (vec![], 5));
    assert_eq!(ids(&reader, u64::MAX, 3, &[]).await, (vec![], 5));
    let by_stock = [(Column::Stock, Order::Descending)];
    assert_eq!(ids(&reader, 0, 5, &by_stock).await.0, [5, 1, 3, 4, 2]);
    let by_stock_then_id = [(Column::Stock, Order::Ascending), (Column::BookId, Order::Descending)];
    assert_eq!(ids(&reader, 0, 5, &by_stock_then_id).await.0, [4, 2, 3, 1, 5]);
    assert_eq!(ids(&reader, 0, 5, &[(Column::Name, Order::Ascending)]).await.0, [5, 4, 3, 1, 2]);
    assert_eq!(ids(&reader, 0, 5, &[(Column::Version, Order::Ascending)]).await.0, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn an_answer_carries_its_position_and_generation() {
    let url = read_models("answer").await;
    let reader = reader(&url);
    let nothing = book_stock::by_id(&reader, book(1)).await.unwrap();
    assert_eq!((nothing.value, nothing.position, nothing.generation), (None, 0, 1));

    let batch = happenings([warehoused(1, 5, "1.0", None)]);
    Writer::take(&url, "projector").await.apply(&batch).await.unwrap();
    reader.wait_for(10, PATIENCE).await.unwrap();
    let found = admin_list::by_id(&reader, book(1)).await.unwrap();
    assert_eq!((found.value.unwrap().book_stock, found.position), (5, 10));
    assert_eq!(book_stock::by_id(&reader, book(2)).await.unwrap().value, None);
}

/// As a replica would that lags behind the one which is followed: for queries no stream was folded anew yet.
const NOT_YET_FOLDED_ANEW: &str = "
    UPDATE bookstock.projection SET refolds = 1;
    ALTER TABLE bookstock.projection RENAME TO told;
    CREATE VIEW bookstock.projection AS SELECT generation, fold_version, position, event_id, epoch, owner, lease_until,
        CASE current_setting('application_name') WHEN 'bookstock reader' THEN 0 ELSE refolds END AS refolds
        FROM bookstock.told;
    GRANT SELECT ON bookstock.projection TO bookstock_reader";

const FOLDED_ANEW: &str = "
    UPDATE rm_1.book_stock SET stock = 31 WHERE book_id = 1;
    CREATE OR REPLACE VIEW bookstock.projection AS SELECT generation, fold_version, position, event_id, epoch, owner,
        lease_until, refolds FROM bookstock.told";

#[tokio::test]
async fn an_answer_is_of_the_state_that_its_own_query_saw_and_not_of_the_one_in_memory() {
    let url = with_books("own_state").await;
    sql(&url, NOT_YET_FOLDED_ANEW).await;
    let reader = Reader::new(&url, ReaderOptions { memory_books: 0, ..ReaderOptions::default() }).unwrap();
    assert!(reader.wait_for_change(State::default()).await);
    let now = reader.standing().unwrap().state();
    assert_eq!((now.generation, now.refolds), (1, 1));
    let before = State { refolds: 0, ..now };
    let request = ListRequest { filter: Filter::default(), sort: vec![], place: Place::Page(0), size: 10 };
    let list = book_stock::list(&reader, &request).await.unwrap();
    assert_eq!((list.state(), list.value.rows[0].stock), (before, 30));
    let found = book_stock::by_id(&reader, book(1)).await.unwrap();
    assert_eq!((found.state(), found.value.unwrap().stock), (before, 30));
    assert_eq!(reader.ping().await.unwrap().state(), before);
    assert_eq!(book_stock::whole(&reader, &request).await.unwrap().state(), before);
    assert_eq!(book_history::since(&reader, 0, 10).await.unwrap().state(), before);
    assert_eq!(past::books(&reader, Moment::Position(0), None, 10).await.unwrap().state(), before);

    sql(&url, FOLDED_ANEW).await;
    let list = book_stock::list(&reader, &request).await.unwrap();
    assert_eq!((list.state(), list.value.rows[0].stock), (now, 31));
    let found = book_stock::by_id(&reader, book(1)).await.unwrap();
    assert_eq!((found.state(), found.value.unwrap().stock), (now, 31));
}

#[tokio::test]
async fn a_reader_follows_when_another_generation_serves() {
    let url = with_books("another_generation").await;
    let reader = reader(&url);
    assert_eq!(reader.ping().await.unwrap().generation, 1);
    let first = book_stock::by_id(&reader, book(1)).await.unwrap();
    assert_eq!(first.value.as_ref().unwrap().stock, 30);
    sql(
        &url,
        "CREATE SCHEMA rm_2;
         GRANT USAGE ON SCHEMA rm_2 TO bookstock_reader;
         CREATE TABLE rm_2.book_stock AS SELECT * FROM rm_1.book_stock;
         CREATE TABLE rm_2.admin_list AS SELECT * FROM rm_1.admin_list;
         UPDATE rm_2.book_stock SET stock = 31 WHERE book_id = 1;
         GRANT SELECT ON ALL TABLES IN SCHEMA rm_2 TO bookstock_reader;
         INSERT INTO bookstock.projection (generation, fold_version, position, event_id)
         SELECT 2, fold_version, position, event_id FROM bookstock.projection;
         UPDATE bookstock.active SET generation = 2",
    )
    .await;
    assert!(reader.wait_for_change(first.state()).await);
    let found = book_stock::by_id(&reader, book(1)).await.unwrap();
    assert_eq!((found.value.as_ref().unwrap().stock, found.generation), (31, 2));
    sql(&url, "UPDATE bookstock.active SET generation = 1; DROP SCHEMA rm_2 CASCADE").await;
    assert!(reader.wait_for_change(found.state()).await);
    let found = book_stock::by_id(&reader, book(1)).await.unwrap();
    assert_eq!((found.value.as_ref().unwrap().stock, found.generation), (30, 1));
}

#[tokio::test]
async fn waiting_ends_when_the_event_is_there() {
    let url = read_models("waiting").await;
    let reader = reader(&url);
    let waiting = reader.wait_for(10, Duration::from_secs(30));
    let writing = async {
        let batch = happenings([warehoused(1, 5, "1.0", None)]);
        Writer::take(&url, "projector").await.apply(&batch).await.unwrap();
    };
    let (waited, ()) = tokio::join!(waiting, writing);
    waited.unwrap();
    assert_eq!(reader.position(), 10);
    assert_eq!(reader.wait_for(11, Duration::from_millis(10)).await, Err(Behind { position: 10 }));
}

#[tokio::test]
async fn a_notification_wakes_who_waits_though_the_timer_is_far_away() {
    let url = read_models("notified").await;
    let interval = Duration::from_secs(3_600);
    let reader = Reader::new(&url, ReaderOptions { interval, ..ReaderOptions::default() }).unwrap();
    assert!(reader.wait_for_change(State::default()).await);
    let mut writer = Writer::take(&url, "projector").await;
    for batch in happenings((1..=3).map(|qty| warehoused(1, qty, "1.0", None))).chunks(1) {
        let waiting = reader.wait_for(batch[0].position, PATIENCE);
        let (waited, applied) = tokio::join!(waiting, writer.apply(batch));
        applied.unwrap();
        waited.unwrap();
    }
}

/// Every hundredth row that is read leaves a lock, until the list is at its end.
const COUNTED: &str = "
    CREATE FUNCTION public.counted(book bigint) RETURNS boolean LANGUAGE sql VOLATILE
        AS 'SELECT CASE WHEN book % 100 = 0 THEN pg_try_advisory_xact_lock_shared(book) ELSE true END';
    ALTER TABLE rm_1.book_stock RENAME TO all_books;
    CREATE VIEW rm_1.book_stock AS SELECT * FROM rm_1.all_books WHERE public.counted(book_id);
    GRANT SELECT ON rm_1.book_stock TO bookstock_reader";

#[tokio::test]
async fn a_whole_list_that_nobody_takes_is_read_no_further_than_a_few_parts() {
    let url = read_models("not_taken").await;
    let mut writer = Writer::take(&url, "projector").await;
    let books = (1..=6_000).map(|number| warehoused(number, 1, "1.0", None));
    writer.apply(&happenings(books)).await.unwrap();
    sql(&url, COUNTED).await;
    // Rows that have to be sorted are all read before the first of them is known.
    sql(
        &url,
        "ALTER DATABASE not_taken SET enable_sort = off; ALTER DATABASE not_taken SET enable_seqscan = off",
    )
    .await;
    let reader = Reader::new(&url, ReaderOptions { memory_books: 0, ..ReaderOptions::default() }).unwrap();
    assert!(reader.wait_for_change(State::default()).await);
    let request = ListRequest { filter: Filter::default(), sort: vec![], place: Place::Page(0), size: 10 };
    let mut rows = book_stock::whole(&reader, &request).await.unwrap().value;
    let first = rows.next().await.unwrap().unwrap();
    assert_eq!((first.len(), first[0].book_id), (500, book(1)));

    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let read = "SELECT 100 * count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE locktype = 'advisory' AND datname = 'not_taken' AND state = 'idle in transaction'";
    let deadline = Instant::now() + PATIENCE;
    // Two parts wait to be taken, and one to be put there.
    let (mut before, mut now) = (0, -1);
    while now < 4 * 500 || now != before {
        assert!(Instant::now() < deadline, "{now} rows were read");
        tokio::time::sleep(Duration::from_millis(50)).await;
        (before, now) = (now, client.query_one(read, &[]).await.unwrap().get::<_, i64>(0));
    }
    assert_eq!(now, 4 * 500);
    let mut count = first.len();
    while let Some(part) = rows.next().await {
        count += part.unwrap().len();
    }
    assert_eq!(count, 6_000);
}

#[tokio::test]
async fn a_database_without_read_models_says_so() {
    let cluster = Cluster::start();
    let url = cluster.database("empty").await;
    assert!(matches!(reader(&url).ping().await, Err(ReaderError::NotSetUp(_))));
    read_model::migrate(&url).await.unwrap();
    assert!(matches!(reader(&url).ping().await, Err(ReaderError::NotSetUp(_))));
}

#[tokio::test]
async fn more_queries_than_connections_are_all_answered() {
    let url = with_books("more_queries").await;
    static WAITED: AtomicU64 = AtomicU64::new(0);
    let waited = |time: Duration| {
        WAITED.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    };
    let few = ReaderOptions { pool_size: 2, memory_books: 0, waited, ..ReaderOptions::default() };
    let reader = Reader::new(&url, few).unwrap();
    let queries = (1..=200).map(|number| {
        let reader = reader.clone();
        tokio::spawn(async move { book_stock::by_id(&reader, book(number)).await.unwrap().value })
    });
    for (number, query) in (1..).zip(queries.collect::<Vec<_>>()) {
        assert_eq!(query.await.unwrap().is_some(), number <= 5);
    }
    assert_ne!(WAITED.load(Ordering::Relaxed), 0, "nobody was told of the waiting");
}

#[tokio::test]
async fn who_goes_away_before_the_answer_lets_nobody_else_wait_for_it() {
    let url = with_books("cancelled").await;
    let one = ReaderOptions { pool_size: 1, memory_books: 0, ..ReaderOptions::default() };
    let reader = Reader::new(&url, one).unwrap();
    // Both statements are known to the one connection.
    assert!(book_stock::by_id(&reader, book(1)).await.unwrap().value.is_some());
    assert!(admin_list::by_id(&reader, book(1)).await.unwrap().value.is_some());
    let (mut other, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let locked = other.transaction().await.unwrap();
    locked.batch_execute("LOCK TABLE rm_1.book_stock IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'rm_1.book_stock'::regclass
                 AND pid IN (SELECT pid FROM pg_stat_activity WHERE application_name = 'bookstock reader')";
    let waiting = async {
        while locked.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        found = book_stock::by_id(&reader, book(2)) => panic!("the table is locked: {found:?}"),
        () = waiting => {}
    }
    let found = admin_list::by_id(&reader, book(2)).await.unwrap();
    assert!(found.value.is_some());
}

#[tokio::test]
async fn whole_lists_that_nobody_reads_on_leave_connections_for_all_others() {
    let url = read_models("whole_lists").await;
    let mut writer = Writer::take(&url, "projector").await;
    let books = (1..=6_000).map(|number| warehoused(number, 1, "1.0", None));
    writer.apply(&happenings(books)).await.unwrap();
    let few = ReaderOptions { pool_size: 4, memory_books: 0, ..ReaderOptions::default() };
    let reader = Reader::new(&url, few).unwrap();
    let request = ListRequest { filter: Filter::default(), sort: vec![], place: Place::Page(0), size: 10 };
    let mut taken = Vec::new();
    for _ in 0..2 {
        taken.push(book_stock::whole(&reader, &request).await.unwrap().value);
    }
    let third = book_stock::whole(&reader, &request).await;
    assert!(matches!(third, Err(ReaderError::Unavailable(_))), "{third:?}");
    assert!(book_stock::by_id(&reader, book(1)).await.unwrap().value.is_some());
    for mut rows in taken {
        let mut count = 0;
        while let Some(part) = rows.next().await {
            count += part.unwrap().len();
        }
        assert_eq!(count, 6_000);
    }
    book_stock::whole(&reader, &request).await.unwrap();
}

#[tokio::test]
async fn while_postgresql_is_frozen_or_gone_queries_fail_in_time_and_work_again_after() {
    let cluster = Cluster::start();
    let url = cluster.database("outages").await;
    set_up(&url).await;
    let reader = reader(&url);
    reader.ping().await.unwrap();
    for (outage, end) in [("freeze", "thaw"), ("stop", "start"), ("kill", "start")] {
        let started = Instant::now();
        // On a busy machine it takes more than one outage until this process does not stand still in the middle of it.
        loop {
            cluster.command(outage);
            let begun = Instant::now();
            let queries: Vec<_> = (0..40)
                .map(|_| {
                    let reader = reader.clone();
                    tokio::spawn(async move { reader.ping().await })
                })
                .collect();
            for query in queries {
                assert!(matches!(query.await.unwrap(), Err(ReaderError::Unavailable(_))), "{outage}");
            }
            let took = begun.elapsed();
            cluster.command(end);
            let deadline = Instant::now() + Duration::from_secs(20);
            while let Err(error) = reader.ping().await {
                assert!(Instant::now() < deadline, "after {outage}: {error}");
            }
            if took < Duration::from_secs(2) {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{outage}: {took:?}");
        }
    }
}
