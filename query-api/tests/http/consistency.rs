//! `minPosition` and `wait`.

use crate::support::Library;
use std::time::Duration;

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
