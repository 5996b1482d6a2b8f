//! The event store is away, or frozen.

use crate::awake::awake;
use crate::program::Program;
use crate::support::{Answer, Replica, Site, Store, eventually};
use event_store::{Direction, EventStore as _, Start};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The longest that a client may be left without an answer.
const SOON: Duration = Duration::from_secs(1);

async fn within_a_second(sending: impl Future<Output = Answer>) -> Answer {
    let (answer, took) = awake(sending).await;
    assert!(took < SOON, "{took:?}");
    answer
}

async fn ready(replica: &Site, status: u16) {
    eventually("the readiness", async || replica.get("/readyz").await.status == status).await;
}

#[tokio::test]
async fn without_its_store_a_command_is_told_so_within_a_second_and_goes_on_after() {
    let mut store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    replica.booked(1, 5, "first").await;
    ready(&replica, 200).await;

    store.kill().await;
    for book in [1, 2] {
        let answer = within_a_second(replica.warehouse(book, 5)).await;
        answer.problem(503, "event-store-unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    within_a_second(replica.get("/libraries/1")).await.problem(503, "event-store-unavailable");
    ready(&replica, 503).await;
    assert_eq!(replica.get("/livez").await.status, 200);

    store.restart().await;
    ready(&replica, 200).await;
    assert_eq!(replica.booked(1, 7, "after").await.ok(201)["stock"], 12);
    assert_eq!(replica.booked(2, 7, "after").await.ok(201)["stock"], 7);
}

#[tokio::test]
async fn an_outcome_that_nobody_knows_comes_with_the_key_to_ask_again() {
    let store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    replica.booked(1, 5, "first").await;
    store.freeze().await;
    let keyed = within_a_second(replica.warehouse_keyed(1, 7, "mine")).await;
    assert_eq!(keyed.problem(503, "outcome-unknown")["idempotencyKey"], "mine");
    assert_eq!(keyed.header("idempotency-key"), "mine");
    assert_eq!(keyed.header("retry-after"), "1");
    store.thaw().await;
    replica.booked(1, 7, "mine").await;
    assert_eq!(replica.stock(1).await, 12);

    store.freeze().await;
    let unkeyed = within_a_second(replica.warehouse(1, 100)).await;
    let key = unkeyed.problem(503, "outcome-unknown")["idempotencyKey"].as_str().unwrap().to_owned();
    assert_eq!(unkeyed.header("idempotency-key"), key);
    store.thaw().await;
    replica.booked(1, 100, &key).await;
    Replica::hurried(&store).await.booked(1, 100, &key).await;
    assert_eq!(replica.stock(1).await, 112);
    assert_eq!(store.events(1).await.len(), 3);
}

#[tokio::test]
async fn a_key_that_was_told_is_known_when_its_command_is_booked_after_all() {
    let store = Store::start().await;
    let program = Program::start(&store, &["--store-timeout-ms", "2000"]).await;
    // What only happens at first takes its time while the disk is fast.
    program.warehouse(1, 5).await.ok(201);
    let (mut book, mut booked, mut told) = (1, 1, Vec::new());
    let slow = store.slow_disk(Duration::from_millis(1_200)).await;
    eventually("of some commands at once the later ones are told their keys", async || {
        ready(&program, 200).await;
        store.has_written(book).await;
        // It knows the book from its beginning, so it will not read it again to find a key.
        book += 1;
        let first = program.warehouse(book, 5).await;
        // Some wait for another before they are sent, so their own time is over before that of their append.
        let command = || program.warehouse(book, 5);
        let (a, b, c, d) = tokio::join!(command(), command(), command(), command());
        let is_first_booked = first.status == 201;
        let (in_time, late): (Vec<_>, Vec<_>) =
            [first, a, b, c, d].into_iter().partition(|answer| answer.status == 201);
        booked += in_time.len();
        let unknown = late.iter().filter(|answer| answer.text.contains("outcome-unknown"));
        let keys: Vec<_> =
            unknown.map(|answer| (book, answer.header("idempotency-key").to_owned())).collect();
        let is_told = is_first_booked && in_time.len() > 1 && !keys.is_empty();
        told.extend(keys);
        is_told
    })
    .await;
    drop(slow);
    for (book, key) in &told {
        eventually("it is booked", async || program.warehouse_keyed(*book, 5, key).await.status == 201).await;
        booked += 1;
    }
    let all = store.client().read_all(Start::Beginning, Direction::Forwards, 1_000).await.unwrap();
    assert_eq!(all.iter().filter(|event| event.stream.starts_with("book-")).count(), booked);
}

#[tokio::test]
async fn a_repeat_of_what_is_booked_is_not_told_that_nothing_was() {
    let mut store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    let first = replica.booked(1, 5, "k").await;
    store.freeze().await;
    within_a_second(replica.warehouse_keyed(1, 5, "k")).await.problem(503, "outcome-unknown");
    store.thaw().await;
    store.kill().await;
    within_a_second(replica.warehouse_keyed(1, 5, "k")).await.problem(503, "outcome-unknown");
    within_a_second(replica.warehouse_keyed(1, 6, "k")).await.problem(422, "idempotency-key-reused");
    store.restart().await;
    ready(&replica, 200).await;
    assert_eq!(replica.booked(1, 5, "k").await.lasting(), first.lasting());
}

#[tokio::test]
async fn a_frozen_store_leaves_no_client_without_an_answer() {
    let store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    replica.booked(1, 5, "first").await;
    store.freeze().await;
    let waiting =
        async { tokio::join!(replica.warehouse(1, 1), replica.warehouse(1, 1), replica.warehouse(1, 1)) };
    let ((a, b, c), took) = awake(waiting).await;
    assert!(took < SOON, "{took:?}");
    for answer in [a, b, c] {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    within_a_second(replica.post("/books/2/renewals", json!({})))
        .await
        .problem(503, "event-store-unavailable");
    within_a_second(replica.get("/libraries/1")).await.problem(503, "event-store-unavailable");
    ready(&replica, 503).await;
    store.thaw().await;
    ready(&replica, 200).await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_cut_off_and_found_again_when_it_does() {
    let store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    replica.booked(1, 5, "first").await;
    store.freeze().await;
    eventually("the readiness tells of the circuit", async || {
        replica.warehouse(1, 5).await;
        replica.get("/readyz").await.text.contains("the circuit is open")
    })
    .await;
    eventually("a command is turned away unsent", async || {
        replica.warehouse(1, 5).await.text.contains("event-store-unavailable")
    })
    .await;
    store.thaw().await;
    ready(&replica, 200).await;
    eventually("commands are booked again", async || replica.warehouse(2, 5).await.status == 201).await;
}

/// Calls of commands that reached the store, or were turned away before.
async fn calls(program: &Program, outcome: &str) -> u64 {
    program.metric(&format!("event_store_calls_total{{outcome=\"{outcome}\"}}")).await
}

async fn circuit(program: &Program, position: &str) -> bool {
    program.metric(&format!("event_store_circuit{{position=\"{position}\"}}")).await == 1
}

#[tokio::test]
async fn while_the_circuit_is_open_no_command_reaches_the_store_nor_waits_and_a_probe_closes_it() {
    let store = Store::start().await;
    let program = Program::start(&store, &["--store-timeout-ms", "777"]).await;
    program.booked(1, 5, "first").await;
    assert!(circuit(&program, "closed").await);
    store.freeze().await;
    eventually("the circuit is open", async || {
        program.warehouse(1, 5).await;
        !circuit(&program, "closed").await
    })
    .await;
    let log = program.log();
    assert!(log.contains("the circuit is open"), "{log}");
    assert!(!log.contains("the circuit is closed"), "nobody had asked it before: {log}");

    // Many of the pauses between probes, and what a probe takes: not one of them is a command.
    let before = (calls(&program, "failed").await, calls(&program, "shed-open").await);
    let mut turned_away = 0;
    eventually("the store is probed", async || {
        for book in [1, 2] {
            let answer = program.warehouse(book, 5).await;
            answer.problem(503, "event-store-unavailable");
            assert_eq!(answer.header("retry-after"), "1");
            turned_away += 1;
        }
        let read = program.get("/libraries/1").await;
        read.problem(503, "event-store-unavailable");
        turned_away += 1;
        program.log().matches("the circuit is half open").count() > 2
    })
    .await;
    let after = (calls(&program, "failed").await, calls(&program, "shed-open").await);
    assert_eq!(after.0 - before.0, 0);
    // Of one that came while another was being turned away there was no call to shed.
    let shed = after.1 - before.1;
    assert!((1..=turned_away).contains(&shed), "{shed} of {turned_away}");
    eventually("the readiness tells of the circuit", async || {
        program.get("/readyz").await.text.contains("the circuit is open")
    })
    .await;

    store.thaw().await;
    eventually("the circuit is closed", async || circuit(&program, "closed").await).await;
    ready(&program, 200).await;
    assert_eq!(calls(&program, "failed").await, after.0);
    program.booked(2, 5, "after").await;
    let log = program.log();
    assert!(log.contains("the circuit is closed"), "{log}");
}

#[tokio::test]
async fn who_stands_behind_a_call_that_hangs_is_turned_away_while_it_does_once_the_circuit_is_open() {
    let store = Store::start().await;
    let program = Arc::new(Program::start(&store, &["--store-timeout-ms", "2000"]).await);
    program.warehouse(1, 1).await.ok(201);
    let hurried = Replica::hurried(&store).await;
    store.freeze().await;
    let sent = |books: Vec<u64>| {
        let mut sending = JoinSet::new();
        for book in books {
            let program = Arc::clone(&program);
            sending.spawn(async move { program.warehouse(book, 1).await });
        }
        sending
    };
    // They will open the circuit. By the time that another process has lost its patience they have waited for a while,
    // so the first command for book 1 is still waited for when they are not.
    let others = sent((2..7).collect());
    hurried.warehouse(2, 1).await.problem(503, "event-store-unavailable");
    assert!(circuit(&program, "closed").await);
    let mut first_and_behind = sent(vec![1; 20]);

    let first_answered = first_and_behind.join_next().await.unwrap().unwrap();
    first_answered.problem(503, "event-store-unavailable");
    assert_eq!(first_answered.header("retry-after"), "1");
    let came_later = program.warehouse(1, 1).await;
    came_later.problem(503, "event-store-unavailable");
    let mut unknown = 0;
    while let Some(answer) = first_and_behind.join_next().await {
        if answer.unwrap().text.contains("outcome-unknown") {
            unknown += 1;
        } else {
            assert_eq!(unknown, 0, "one stood in line until the call before it was over");
        }
    }
    assert!(unknown > 0, "none was on its way");
    for answer in others.join_all().await {
        answer.problem(503, "event-store-unavailable");
    }

    store.thaw().await;
    ready(&program, 200).await;
    // Whatever was on its way has arrived when this is booked after it.
    program.warehouse(1, 1).await.ok(201);
    assert!(store.events(1).await.len() <= 2 + unknown);
}

#[tokio::test]
async fn a_store_that_is_read_and_cannot_write_is_cut_off_until_it_can() {
    let store = Store::start().await;
    let program = Program::start(&store, &["--store-timeout-ms", "777"]).await;
    program.booked(1, 5, "first").await;
    ready(&program, 200).await;

    let hung = store.slow_disk(Duration::from_secs(600)).await;
    eventually("the circuit is open", async || {
        program.warehouse(1, 5).await;
        // This one is read and answered, and says nothing of what is written.
        program.get("/libraries/1").await;
        circuit(&program, "open").await
    })
    .await;
    ready(&program, 503).await;
    eventually("the store is probed", async || {
        let readiness = program.get("/readyz").await;
        assert_eq!(readiness.status, 503, "{readiness:?}");
        within_a_second(program.warehouse(1, 5)).await.problem(503, "event-store-unavailable");
        program.log().matches("the circuit is half open").count() > 2
    })
    .await;
    let log = program.log();
    assert!(!log.contains("the circuit is closed"), "{log}");

    drop(hung);
    ready(&program, 200).await;
    program.booked(2, 5, "after").await;
    // The probes left nothing.
    let all = store.client().read_all(Start::Beginning, Direction::Forwards, 1_000).await.unwrap();
    assert!(all.iter().all(|event| event.stream.starts_with("book-")), "{all:?}");
}
