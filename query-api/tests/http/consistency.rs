//! `minPosition` and `wait`.

use crate::support::{Library, QueryApi, client, eventually};
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;

const PATHS: [&str; 4] = ["/books/1", "/books", "/admins/1", "/admins"];

#[tokio::test]
async fn what_is_there_already_is_answered_at_once() {
    let library = Library::empty("consistency_there").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    for path in PATHS {
        let answer = library.get(&format!("{path}?minPosition=42&wait=0")).await;
        assert_eq!((answer.status, answer.header("bookstock-position")), (200, "42"), "{path}");
    }
}

#[tokio::test]
async fn a_reader_is_told_how_far_the_read_models_are_if_that_is_not_far_enough() {
    let library = Library::empty("consistency_behind").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    for path in PATHS {
        for wait in ["0", "50"] {
            let answer = library.get(&format!("{path}?minPosition=43&wait={wait}")).await;
            assert_eq!(answer.outcome(), (503, "projection-behind".to_owned()), "{path}");
            assert_eq!(answer.json()["position"], "42");
            assert_eq!(answer.header("bookstock-position"), "42");
            assert_eq!(answer.header("retry-after"), "1");
        }
    }
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_the_position_it_waits_for() {
    let library = Library::empty("consistency_woken").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    for (at, path) in (100..).step_by(10).zip(PATHS) {
        let url = format!("{path}?minPosition={}&wait=10000", at + 5);
        let mut waiting = std::pin::pin!(library.get(&url));
        for too_early in [at, at + 4] {
            let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
            assert!(early.is_err(), "{path} was answered before its position was reached");
            library.put(too_early, &["2, NULL, 1.0, 5"]).await;
        }
        library.put(at + 5, &["1, NULL, 1.0, 77"]).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("it was not woken");
        assert_eq!(
            (answer.status, answer.header("bookstock-position")),
            (200, (at + 5).to_string().as_str())
        );
        assert!(answer.text.contains("77"), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_lost_notification_delays_a_reader_but_does_not_strand_it() {
    let library = Library::empty("consistency_silent").await;
    let mut waiting = std::pin::pin!(library.get("/books/1?minPosition=42&wait=10000"));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_err());
    library.put_silently(42, "1, NULL, 1.0, 5").await;
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("it was stranded");
    assert_eq!((answer.status, answer.header("bookstock-position")), (200, "42"));
}

#[tokio::test]
async fn a_book_that_is_about_to_come_in_is_waited_for() {
    let library = Library::empty("consistency_unknown").await;
    let mut waiting = std::pin::pin!(library.get("/admins/9?minPosition=7&wait=10000"));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_err());
    library.put(7, &["9, NULL, 1.0, 5"]).await;
    assert_eq!(waiting.await.json()["bookStock"], 5);
}

#[tokio::test]
async fn what_a_crash_took_back_is_not_shown_as_newer_than_it_is() {
    let library = Library::empty("consistency_crash").await;
    library.put(50, &["1, NULL, 1.0, 5"]).await;
    assert_eq!(library.get("/books/1?minPosition=50").await.status, 200);
    library.lose_moments(40).await;
    for wait in ["0", "300"] {
        let answer = library.get(&format!("/books/1?minPosition=50&wait={wait}")).await;
        assert_eq!(answer.outcome(), (503, "projection-behind".to_owned()), "{wait}");
    }
    library.put(50, &["1, NULL, 1.0, 6"]).await;
    assert_eq!(library.get("/books/1?minPosition=50").await.json()["stock"], 6);
}

#[tokio::test]
async fn while_all_rows_are_read_anew_for_long_the_database_is_not_taken_for_out() {
    let library = Library::empty("consistency_long").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    library.hold_back("true").await;
    let (owner, wire) = tokio_postgres::connect(&library.database_url, NoTls).await.unwrap();
    tokio::spawn(wire);
    owner.batch_execute("SELECT pg_advisory_lock(42)").await.unwrap();
    // A stream that is folded anew has all rows read, and those are not to be had.
    let change = "BEGIN;
        UPDATE rm_1.all_books SET stock = 6, revision = 1, position = 43;
        UPDATE rm_1.admin_list SET book_stock = 6, revision = 1, position = 43;
        UPDATE bookstock.projection SET position = 43, event_id = gen_random_uuid(), refolds = refolds + 1;
        COMMIT; NOTIFY bookstock_position, '43'";
    owner.batch_execute(change).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        // What is known gets older, and who wants more has to wait.
        let answer = library.get("/books/1?minPosition=43&wait=0").await;
        let age = answer.header("bookstock-age-ms").parse::<u64>().unwrap();
        if age > 3_000 && answer.outcome() == (503, "projection-behind".to_owned()) {
            assert!(!answer.headers.contains_key("bookstock-stale"));
            break;
        }
        assert!(Instant::now() < deadline, "after {age} ms: {}", answer.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(library.get("/books/1").await.json()["stock"], 5);
    owner.batch_execute("SELECT pg_advisory_unlock(42)").await.unwrap();
    let answer = eventually(&library.query_api, "/books/1?minPosition=43&wait=10000", 200).await;
    assert_eq!(answer.json()["stock"], 6);
}

/// As a replica would that lags behind the one which is followed: for queries the read models are at the position before.
const LAGGING: &str = "
    ALTER TABLE bookstock.projection RENAME TO told;
    CREATE VIEW bookstock.projection AS SELECT generation, fold_version,
        position - CASE current_setting('application_name') WHEN 'bookstock reader' THEN 1 ELSE 0 END AS position,
        event_id, epoch, owner, lease_until, refolds FROM bookstock.told;
    GRANT SELECT ON bookstock.projection TO bookstock_reader";

const CAUGHT_UP: &str = "
    CREATE OR REPLACE VIEW bookstock.projection AS SELECT generation, fold_version, position,
        event_id, epoch, owner, lease_until, refolds FROM bookstock.told";

#[tokio::test]
async fn a_replica_that_lags_behind_is_waited_for_as_long_as_was_asked_and_no_longer() {
    let library = Library::empty("consistency_lagging").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    library.sql(LAGGING).await;
    let api = QueryApi::start_with(&library.database_url, 0).await;
    api.stands_at(42).await;
    let paths = ["/admins?sort=bookName&minPosition=42", "/books/1?minPosition=42"];
    for path in paths {
        let answer = api.get(&format!("{path}&wait=200"), &[]).await;
        assert_eq!(answer.outcome(), (503, "projection-behind".to_owned()), "{path}: {}", answer.text);
        assert_eq!(answer.json()["position"], "41", "{path}");
    }
    let mut following = client().get(format!("{}/books/changes?since=41", api.base)).send().await.unwrap();
    library.sql(CAUGHT_UP).await;
    for path in paths {
        assert_eq!(eventually(&api, path, 200).await.header("bookstock-position"), "42", "{path}");
    }
    // Who follows changes is told none that is none.
    library.sql("UPDATE bookstock.told SET position = 43; NOTIFY bookstock_position").await;
    let mut text = String::new();
    while !text.contains("id: 43\n") {
        let more = tokio::time::timeout(Duration::from_secs(20), following.chunk()).await;
        text.push_str(&String::from_utf8_lossy(&more.expect("no message came").unwrap().unwrap()));
    }
    assert!(!text.contains("id: 41\n"), "{text}");
}
