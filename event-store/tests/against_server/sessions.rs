//! Appends that share a call of the store (ADR 0019): what becomes of them, and of the call, when something fails.

use crate::server::Server;
use crate::support::{PATIENCE, connect, event, until};
use event_store::{AppendError, Appended, Direction, EventStore as _, Expected, Kurrent, Start};
use futures_util::future::join_all;
use std::time::Duration;

const SESSIONS: &str = "event_store_sessions";

/// Appends alone and then in a session, which is open afterwards.
async fn begin_session(server: &Server, store: &Kurrent) {
    store.append("book-1", Expected::NoStream, vec![event(1)]).await.unwrap();
    store.append("book-1", Expected::Revision(0), vec![event(2)]).await.unwrap();
    assert_eq!(server.metric(SESSIONS), 1.0);
}

async fn no_session_is_open(server: &Server) {
    until("the store has no open session", async || server.metric(SESSIONS) == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_a_caller_gave_up_is_ended_in_the_store() {
    let server = Server::start(&[]);
    let store = connect(&server.url(), PATIENCE);
    begin_session(&server, &store).await;
    server.freeze();
    let given_up = store.append("book-1", Expected::Revision(1), vec![event(3)]);
    assert!(tokio::time::timeout(Duration::from_millis(50), given_up).await.is_err());
    server.thaw();
    no_session_is_open(&server).await;
    let stored = store.read_stream("bookstock-farewell", Start::Beginning, Direction::Forwards, 1).await;
    assert_eq!(stored.unwrap(), [], "the end of a session stores nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_a_client_that_is_dropped_is_ended_in_the_store() {
    let server = Server::start(&[]);
    let store = connect(&server.url(), PATIENCE);
    begin_session(&server, &store).await;
    drop(store);
    no_session_is_open(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_ends_the_session_and_the_next_one_comes_by_itself() {
    let server = Server::start(&[]);
    let store = connect(&server.url(), PATIENCE);
    begin_session(&server, &store).await;
    let answer = store.append("book-1", Expected::Revision(7), vec![event(3)]).await;
    assert_eq!(answer, Err(AppendError::Conflict { expected: Expected::Revision(7), current: Some(1) }));
    no_session_is_open(&server).await;
    let mut revision = 1;
    until("there is a session again", async || {
        let next = event(100 + u128::from(revision));
        revision = store.append("book-1", Expected::Revision(revision), vec![next]).await.unwrap().revision;
        server.metric(SESSIONS) == 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_beside_others_is_told_exactly_and_harms_nobody() {
    const BOOKS: u128 = 16;
    const ROUNDS: u64 = 40;
    let server = Server::start(&[]);
    let store = connect(&server.url(), PATIENCE);
    begin_session(&server, &store).await;
    let id = |book: u128, round: u64| (book << 64) + u128::from(round) + 1;
    let writers = (10..10 + BOOKS).map(async |book| {
        let stream = format!("book-{book}");
        for round in 0..ROUNDS {
            let expected = round.checked_sub(1).map_or(Expected::NoStream, Expected::Revision);
            let appended = store.append(&stream, expected, vec![event(id(book, round))]).await.unwrap();
            assert_eq!(appended.revision, round);
            // One of them is wrong now and then, in the middle of the others' appends.
            if u128::from(round) % BOOKS == book - 10 {
                let wrong = Expected::Revision(round + 5);
                let answer = store.append(&stream, wrong, vec![event(id(book, round) + (1 << 32))]).await;
                assert_eq!(answer, Err(AppendError::Conflict { expected: wrong, current: Some(round) }));
            }
        }
    });
    join_all(writers).await;
    for book in 10..10 + BOOKS {
        let stored = store
            .read_stream(&format!("book-{book}"), Start::Beginning, Direction::Forwards, 100)
            .await
            .unwrap();
        let ids: Vec<u128> = stored.iter().map(|event| event.id.as_u128()).collect();
        assert_eq!(ids, (0..ROUNDS).map(|round| id(book, round)).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_under_an_open_session_is_told_and_its_successor_is_found() {
    let mut server = Server::start(&[]);
    let store = connect(&server.url(), Duration::from_secs(2));
    begin_session(&server, &store).await;
    server.kill();
    let answer = store.append("book-1", Expected::Revision(1), vec![event(3)]).await;
    assert!(
        matches!(answer, Err(AppendError::Unavailable(_) | AppendError::OutcomeUnknown(_))),
        "{answer:?}"
    );
    server.start_again();
    until("the store answers", async || store.ping().await.is_ok()).await;
    let appended = store.append("book-1", Expected::Revision(1), vec![event(3)]).await.unwrap();
    assert_eq!(appended.revision, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_stopped_and_started_under_an_open_session_takes_the_next_append() {
    let mut server = Server::start(&[]);
    let store = connect(&server.url(), PATIENCE);
    begin_session(&server, &store).await;
    server.stop();
    server.start_again();
    let mut answers = Vec::new();
    until("the append is taken", async || {
        let answer = store.append("book-1", Expected::Revision(1), vec![event(3)]).await;
        let taken = answer.is_ok();
        answers.push(answer);
        taken
    })
    .await;
    let (taken, before) = answers.split_last().unwrap();
    assert!(matches!(taken, Ok(Appended { revision: 2, .. })), "{answers:?}");
    // The old connection may turn out to be gone first.
    assert!(before.iter().all(|answer| matches!(answer, Err(AppendError::Unavailable(_)))), "{answers:?}");
    let stored = store.read_stream("book-1", Start::Beginning, Direction::Forwards, 10).await.unwrap();
    assert_eq!(stored.len(), 3);
}
