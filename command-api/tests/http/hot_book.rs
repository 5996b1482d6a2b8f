//! Many commands for one book: they go out together, and each is answered for itself.

use crate::program::Program;
use crate::support::{Answer, Replica, Site, Store, eventually};
use domain::book::{Book, BookEvent};
use domain::{Evolve as _, fold};
use event_store::StoredEvent;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

type Command = (&'static str, Value, Vec<(&'static str, String)>);

fn warehousing(qty: u64) -> Command {
    ("/books/1/warehousings", json!({"qty": qty}), Vec::new())
}

fn keyed(key: &str, (path, body, mut headers): Command) -> Command {
    headers.push(("idempotency-key", key.to_owned()));
    (path, body, headers)
}

fn on_condition(name: &'static str, value: &str, (path, body, mut headers): Command) -> Command {
    headers.push((name, value.to_owned()));
    (path, body, headers)
}

async fn send(replica: &Replica, (path, body, headers): Command) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    replica.post_with(path, body, &headers).await
}

fn more_in_append(event: &StoredEvent) -> u64 {
    let metadata: Value = serde_json::from_slice(&event.metadata).unwrap();
    metadata["moreInAppend"].as_u64().unwrap_or_default()
}

fn decoded(events: &[StoredEvent]) -> Vec<BookEvent> {
    events
        .iter()
        .map(|event| BookEvent::decode(&event.event_type, &event.data, &event.metadata).unwrap())
        .collect()
}

#[tokio::test]
async fn commands_that_wait_for_one_book_are_booked_together() {
    let store = Store::start().await;
    let replica = Arc::new(Replica::start(&store).await);
    let mut sent: Vec<(Command, Answer)> = Vec::new();
    let mut events = Vec::new();
    // How many come while the first is on its way is up to the machine; some do, sooner or later.
    while events.iter().all(|event| more_in_append(event) == 0) {
        store.freeze().await;
        let mut sending = JoinSet::new();
        for number in sent.len()..sent.len() + 20 {
            let replica = Arc::clone(&replica);
            let command = keyed(&format!("k{number}"), warehousing(1));
            sending.spawn(async move { (command.clone(), send(&replica, command).await) });
        }
        tokio::task::yield_now().await;
        store.thaw().await;
        sent.extend(sending.join_all().await);
        events = store.events(1).await;
    }
    assert_eq!(events.len(), sent.len());
    for (_, answer) in &sent {
        let body = answer.ok(201);
        let revision = body["revision"].as_u64().unwrap();
        assert_eq!(body["stock"], revision + 1);
        let own = &events[usize::try_from(revision).unwrap()];
        let last = &events[usize::try_from(revision + more_in_append(own)).unwrap()];
        assert_eq!(body["position"], last.position.to_string(), "{body}");
    }

    // Each is answered again as the first time: here, and by a replica that knows only the stream.
    let cold = Replica::start(&store).await;
    for (command, first) in &sent {
        for replica in [&replica, &cold] {
            assert_eq!(send(replica, command.clone()).await.lasting(), first.lasting());
        }
    }
    assert_eq!(store.events(1).await.len(), sent.len());
}

#[tokio::test]
async fn what_is_told_to_have_changed_nothing_never_does() {
    let store = Store::start().await;
    let replica = Arc::new(Replica::hurried(&store).await);
    replica.booked(1, 1, "first").await;
    store.freeze().await;
    let mut sending = JoinSet::new();
    for number in 0..20 {
        let replica = Arc::clone(&replica);
        sending.spawn(async move { (number, replica.warehouse_keyed(1, 10, &number.to_string()).await) });
    }
    let answers = sending.join_all().await;
    store.thaw().await;
    // Whatever was on its way has arrived when this is booked after it.
    replica.booked(1, 1, "after").await;
    let booked: BTreeSet<String> = store
        .events(1)
        .await
        .iter()
        .map(|event| serde_json::from_slice::<Value>(&event.metadata).unwrap())
        .map(|metadata| metadata["idempotencyKey"].as_str().unwrap().to_owned())
        .collect();
    let mut nothing = 0;
    for (number, answer) in answers {
        let document = answer.ok(503);
        if document["type"] != "urn:bookstock:problem:outcome-unknown" {
            nothing += 1;
            assert!(!booked.contains(&number.to_string()), "{number} is booked: {document}");
        }
    }
    assert!(nothing > 0, "all were on their way");
}

#[tokio::test]
async fn two_replicas_that_hammer_one_book_both_get_on() {
    const GOAL: usize = 2_000;
    let store = Store::start().await;
    let (all, mut sending) = (Arc::<AtomicUsize>::default(), JoinSet::new());
    for number in 0..2 {
        let replica = Arc::new(Replica::start(&store).await);
        for _ in 0..16 {
            let (replica, all) = (Arc::clone(&replica), Arc::clone(&all));
            sending.spawn(async move {
                let mut mine = 0;
                while all.fetch_add(1, Ordering::Relaxed) < GOAL {
                    replica.warehouse(1, 1).await.ok(201);
                    mine += 1;
                }
                (number, mine)
            });
        }
    }
    let mut shares = [0, 0];
    sending.join_all().await.into_iter().for_each(|(number, mine): (usize, usize)| shares[number] += mine);
    println!("shares of {GOAL} commands: {shares:?}");
    assert!(shares.iter().all(|share| *share >= GOAL / 10), "{shares:?}");
    assert_eq!(store.events(1).await.len(), GOAL);
}

#[tokio::test]
async fn who_commands_other_books_does_not_stand_behind_a_hot_one() {
    const OTHERS: u64 = 100;
    const CALLERS: usize = 64;
    let store = Store::start().await;
    let replica = Arc::new(Replica::start(&store).await);
    let (hot, mut hammering) = (Arc::<AtomicUsize>::default(), JoinSet::new());
    for _ in 0..CALLERS {
        let (replica, hot) = (Arc::clone(&replica), Arc::clone(&hot));
        hammering.spawn(async move {
            loop {
                replica.warehouse(1, 1).await.ok(201);
                hot.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    eventually("the hot book is hot", async || hot.load(Ordering::Relaxed) > CALLERS * 10).await;
    let before = hot.load(Ordering::Relaxed);
    for book in 2..2 + OTHERS {
        replica.warehouse(book, 1).await.ok(201);
    }
    let meanwhile = hot.load(Ordering::Relaxed) - before;
    // Each of the others waits for its own turn in the store, which the callers of the hot book share; not for theirs.
    let turns = meanwhile / CALLERS;
    println!(
        "{meanwhile} commands for the hot book, {turns} turns of all its callers, beside {OTHERS} others"
    );
    assert!(turns < usize::try_from(OTHERS).unwrap() * 5, "{turns} turns of the hot book");
    hammering.shutdown().await;
}

#[tokio::test]
async fn whatever_is_commanded_at_once_every_answer_is_what_the_log_says() {
    let store = Store::start().await;
    let replicas = [Arc::new(Replica::start(&store).await), Arc::new(Replica::start(&store).await)];
    replicas[0].warehouse(1, 1_000).await.ok(201);
    let mut sending = JoinSet::new();
    for client in 0..24_u64 {
        let replica = Arc::clone(&replicas[usize::try_from(client % 2).unwrap()]);
        sending.spawn(async move {
            let mut answers = Vec::new();
            for round in 0..25_u64 {
                // A keyed command is sent by four clients, to both replicas.
                let command = match (client * 31 + round * 17) % 7 {
                    0 => ("/books/1/renewals", json!({}), Vec::new()),
                    1 => ("/books/1/corrections", json!({"qtyDelta": -90, "reason": "lost"}), Vec::new()),
                    2 => on_condition("if-match", &format!("\"{}\"", round * 10), warehousing(3)),
                    3 => keyed(&format!("{}-{round}", client / 4), warehousing(5)),
                    4 => ("/books/1/warehousings", json!({"qty": 1, "version": 1}), Vec::new()),
                    5 => keyed(&format!("{}-{round}", client / 4), warehousing(6)),
                    _ => warehousing(round + 1),
                };
                answers.push(send(&replica, command).await);
            }
            answers
        });
    }
    let answers = sending.join_all().await.concat();
    let log = store.events(1).await;
    let events = decoded(&log);
    let mut booked = BTreeSet::from([0]);
    for answer in &answers {
        match answer.status.as_u16() {
            201 => {
                let body = answer.ok(201);
                let revision = usize::try_from(body["revision"].as_u64().unwrap()).unwrap();
                let book = fold::<Book>(&events[..=revision]);
                let holding = book.holding().unwrap();
                assert_eq!(body["stock"], holding.stock, "{body}");
                assert_eq!(body["version"].to_string(), holding.edition.to_string(), "{body}");
                let first = booked.insert(revision);
                assert!(first || answer.headers.contains_key("idempotency-replayed"), "twice: {body}");
            }
            status => assert!([409, 412, 422].contains(&status), "{answer:?}"),
        }
    }
    assert_eq!(booked.len(), log.len(), "an event that nobody was answered for");
    let mut book = Book::default();
    for (stored, event) in log.iter().zip(&events) {
        book = book.evolve(event);
        let metadata: Value = serde_json::from_slice(&stored.metadata).unwrap();
        assert_eq!(metadata["after"]["stock"], book.holding().unwrap().stock);
    }
}

/// So many rows for one book, in each of the lists; beside them commands of so many others, so many each. The last 2,000
/// events of a book are looked through for a row's key.
const LISTS: usize = 4;
const ROWS: usize = 200;
const OTHERS: usize = 16;
const EACH: usize = 20;

/// Sends a list, and answers of each row whether it is booked.
async fn send_list(site: &Site, book: u64, list: usize) -> Vec<bool> {
    let rows = format!("{{\"bookId\":{book},\"qty\":1}}\n").repeat(ROWS).into_bytes();
    let key = format!("{list}");
    let headers = [("idempotency-key", key.as_str())];
    let answer = site.send(Method::POST, "/warehousings", "application/x-ndjson", rows, &headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text.lines().map(|line| line.contains("\"status\":201")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_is_booked_after_one_that_is_open_whoever_else_commands_their_book() {
    const HITS: usize = 3;
    let store = Store::start().await;
    let program = Arc::new(Program::start(&store, &["--store-timeout-ms", "1000"]).await);
    let failed = async || program.metric("event_store_calls_total{outcome=\"failed\"}").await;
    let mut hits = 0;
    for book in 1.. {
        if hits == HITS {
            break;
        }
        eventually("commands are booked", async || program.warehouse(book, 1).await.status == 201).await;
        let (booked, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut others = JoinSet::new();
        for _ in 0..OTHERS {
            let (program, booked, ended) = (Arc::clone(&program), Arc::clone(&booked), Arc::clone(&ended));
            others.spawn(async move {
                for _ in 0..EACH {
                    program.warehouse(book, 1).await;
                    booked.fetch_add(1, Ordering::Relaxed);
                }
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut lists = JoinSet::new();
        for list in 0..LISTS {
            let (program, ended) = (Arc::clone(&program), Arc::clone(&ended));
            lists.spawn(async move {
                let booked = send_list(&program, book, list).await;
                ended.fetch_add(1, Ordering::Relaxed);
                booked
            });
        }
        let failed_before = failed().await;
        while booked.load(Ordering::Relaxed) < OTHERS {
            tokio::task::yield_now().await;
        }
        store.freeze().await;
        // What was on its way fails. What stands in line behind it has a moment left to be booked in.
        eventually("the store is missed, or nobody asks for it", async || {
            failed().await > failed_before || ended.load(Ordering::Relaxed) == OTHERS + LISTS
        })
        .await;
        store.thaw().await;
        others.join_all().await;
        let lists = lists.join_all().await;
        hits += usize::from(lists.concat().contains(&false));
        for booked in lists {
            // What was on its way may be in the log all the same; but nobody knew when the rows behind it were booked.
            assert!(booked.is_sorted_by(|before, after| before >= after), "{booked:?}");
        }
        for list in 0..LISTS {
            eventually("the list is booked", async || send_list(&program, book, list).await == [true; ROWS])
                .await;
        }
        let mut rows_of = vec![Vec::new(); LISTS];
        for event in store.events(book).await {
            let metadata: Value = serde_json::from_slice(&event.metadata).unwrap();
            if let Some((list, row)) = metadata["idempotencyKey"].as_str().and_then(|key| key.split_once(':'))
            {
                rows_of[list.parse::<usize>().unwrap()].push(row.parse::<usize>().unwrap());
            }
        }
        for rows in rows_of {
            assert_eq!(rows, (1..=ROWS).collect::<Vec<_>>());
        }
    }
}
