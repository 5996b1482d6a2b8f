//! Many readers at once, and long lists: what is asked for once is not asked for again, and nobody waits for the last row.

use crate::support::{Library, QueryApi, client};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Longer than anything that works takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many ask at once, which is many more than there are connections.
const CROWD: usize = 40;

/// The queries that wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'bookstock reader' AND wait_event_type = 'Lock'";

/// So many requests of `service` are under way, by its own word; the one that asks is one.
async fn under_way(api: &QueryApi, service: &str) -> usize {
    let metrics = api.get("/metrics", &[]).await.text;
    let name = format!("http_requests_in_flight{{service=\"{service}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap();
    value.parse::<usize>().unwrap() - 1
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_for_the_same_ask_the_database_once() {
    let library = Library::empty("crowds_once").await;
    library.put(42, &["1, '책', 1.0, 5", "2, NULL, 1.0, 6"]).await;
    let api = QueryApi::start_as("crowds", &library.database_url, 0).await;
    api.stands_at(42).await;
    let (mut owner, wire) =
        tokio_postgres::connect(&library.database_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(wire);
    let (deadline, client) = (Instant::now() + PATIENCE, client());
    // A machine that stands still for a moment has them refused, and then nothing of it is kept: they ask again.
    for (path, wanted) in
        [("/books/1", "stock\":5"), ("/books?sort=name", "stock\":6"), ("/admins/2", "Stock\":6")]
    {
        loop {
            assert!(Instant::now() < deadline, "{path} is not answered");
            let locked = owner.transaction().await.unwrap();
            let lock = "LOCK TABLE rm_1.book_stock, rm_1.admin_list IN ACCESS EXCLUSIVE MODE";
            locked.batch_execute(lock).await.unwrap();
            let mut crowd = JoinSet::new();
            for _ in 0..CROWD {
                let request = client.get(format!("{}{path}", api.base));
                crowd.spawn(async move {
                    let response = request.send().await.unwrap();
                    (response.status().as_u16(), response.text().await.unwrap())
                });
            }
            let mut waiting = 0;
            while crowd.len() == CROWD && (waiting == 0 || under_way(&api, "crowds").await < CROWD) {
                assert!(Instant::now() < deadline, "not all of them ask for {path}");
                waiting = locked.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0);
                while let Some(answered) = crowd.try_join_next() {
                    assert_eq!(answered.unwrap().0, 503, "the tables are locked");
                }
            }
            let waiting = locked.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0);
            assert!(waiting <= 1, "{waiting} queries for {path}");
            locked.rollback().await.unwrap();
            let answers = crowd.join_all().await;
            if answers.len() == CROWD && answers.iter().all(|(status, _)| *status == 200) {
                assert!(answers.iter().all(|(_, text)| text.contains(wanted)), "{answers:?}");
                break;
            }
        }
    }
}

/// Rows that have to be sorted are all read before the first of them is known.
const UNSORTED: &str = "
    ALTER DATABASE crowds_streamed SET enable_sort = off;
    ALTER DATABASE crowds_streamed SET enable_seqscan = off";

/// Who asks while another's question is under way may get its answer, which must not be older than what was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_another_waits_for_is_not_taken_for_a_newer_one() {
    let library = Library::empty("crowds_older").await;
    library.put(100, &["1, NULL, 1.0, 100"]).await;
    library.hold_back("book = 1").await;
    let api = QueryApi::start_as("crowds older", &library.database_url, 0).await;
    api.stands_at(100).await;
    let (owner, wire) = tokio_postgres::connect(&library.database_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(wire);
    let (deadline, client) = (Instant::now() + PATIENCE, client());
    let ask = |path: String| {
        let request = client.get(format!("{}{path}", api.base));
        tokio::spawn(async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    };
    let change = |position: u64| {
        format!(
            "BEGIN;
             UPDATE rm_1.all_books SET stock = {position}, revision = revision + 1, position = {position};
             INSERT INTO rm_1.book_history (position, book_id, movement, version, stock, revision, occurred_at)
                SELECT position, book_id, 'Warehoused', version, stock, revision, occurred_at FROM rm_1.all_books;
             UPDATE bookstock.projection SET position = {position}, event_id = gen_random_uuid();
             COMMIT; NOTIFY bookstock_position, '{position}'"
        )
    };
    // A machine that stands still for a moment has them refused: then it is tried again with the next changes.
    let mut rounds = 0;
    for position in (102u64..).step_by(2) {
        assert!(Instant::now() < deadline, "after {rounds} rounds");
        // The row that is known is not as it was any more.
        owner.batch_execute(&change(position - 1)).await.unwrap();
        api.stands_at(position - 1).await;
        owner.batch_execute("SELECT pg_advisory_lock(42)").await.unwrap();
        let earlier = ask("/books/1".to_owned());
        while !earlier.is_finished() && owner.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
        owner.batch_execute(&change(position)).await.unwrap();
        api.stands_at(position).await;
        let later = ask(format!("/books/1?minPosition={position}"));
        while !earlier.is_finished() && under_way(&api, "crowds older").await < 2 {}
        owner.batch_execute("SELECT pg_advisory_unlock(42)").await.unwrap();
        let (earlier, later) = (earlier.await.unwrap(), later.await.unwrap());
        if (earlier.0, later.0) == (200, 200) {
            assert!(later.1.contains(&format!("\"stock\":{position}")), "at {position}: {}", later.1);
            rounds += 1;
        }
        if rounds == 5 {
            return;
        }
    }
}

#[tokio::test]
async fn the_first_rows_of_a_list_are_sent_before_its_last_is_read() {
    let library = Library::empty("crowds_streamed").await;
    library.put_all(1, "SELECT i, NULL::text, 1.0, 1 FROM generate_series(1, 6000) AS i").await;
    library.hold_back("book > 5000").await;
    library.sql(UNSORTED).await;
    let api = QueryApi::start_with(&library.database_url, 0).await;
    api.stands_at(1).await;
    let (owner, wire) = tokio_postgres::connect(&library.database_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(wire);
    for accept in ["text/csv", "application/x-ndjson"] {
        owner.batch_execute("SELECT pg_advisory_lock(42)").await.unwrap();
        let request = client().get(format!("{}/books", api.base)).header("accept", accept);
        let mut response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["bookstock-position"]),
            (200, &"1".parse().unwrap())
        );
        let mut text = Vec::new();
        // Four parts of 500 rows at least, while the lock is held.
        while text.iter().filter(|byte| **byte == b'\n').count() < 2_000 {
            let more = tokio::time::timeout(PATIENCE, response.chunk()).await.expect("no row was sent");
            text.extend(more.unwrap().expect("the list ended early"));
        }
        owner.batch_execute("SELECT pg_advisory_unlock(42)").await.unwrap();
        while let Some(more) = response.chunk().await.unwrap() {
            text.extend(more);
        }
        let names = usize::from(accept == "text/csv");
        assert_eq!(String::from_utf8(text).unwrap().lines().count(), 6_000 + names);
    }
}
