//! Librarians who go on warehousing whatever happens, and the journal of what was acknowledged to them.

use crate::{PATIENCE, Site};
use event_store::{Direction, EventStore as _, Kurrent, Options, Position, Start, StoredEvent};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How many warehouse at once.
const LIBRARIANS: usize = 4;

/// How many books they share.
const BOOKS: u64 = 20;

/// How long to wait before a command is sent again.
const PAUSE: Duration = Duration::from_millis(20);

/// A command that was answered with 201.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acknowledged {
    /// The book's stream.
    pub stream: String,
    /// The revision in the answer.
    pub revision: u64,
    /// The `Idempotency-Key` it was sent with.
    pub key: String,
    /// The copies.
    pub qty: u64,
}

/// Several clients that send commands to any of the `desks`, each again with the same `Idempotency-Key` until it is
/// acknowledged.
#[derive(Debug)]
pub struct Librarians {
    at_work: JoinSet<Vec<Acknowledged>>,
    acknowledged: Arc<AtomicUsize>,
    go_home: Arc<AtomicBool>,
}

impl Librarians {
    /// They begin.
    #[must_use]
    pub fn begin(desks: &[Site]) -> Self {
        let (acknowledged, go_home) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let mut at_work = JoinSet::new();
        for number in 0..LIBRARIANS {
            at_work.spawn(work(number, desks.to_vec(), Arc::clone(&acknowledged), Arc::clone(&go_home)));
        }
        Self { at_work, acknowledged, go_home }
    }

    /// Waits until so many more commands are acknowledged.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn book(&self, more: usize) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + more;
        crate::eventually("the librarians get on", async || {
            let so_far = self.acknowledged.load(Ordering::Relaxed);
            if so_far >= goal { Ok(()) } else { Err(format!("{so_far} of {goal} are acknowledged")) }
        })
        .await;
    }

    /// Waits until the last command of each is acknowledged, and hands over the journal.
    pub async fn end(self) -> Vec<Acknowledged> {
        self.go_home.store(true, Ordering::Relaxed);
        self.at_work.join_all().await.concat()
    }
}

async fn work(
    number: usize,
    desks: Vec<Site>,
    acknowledged: Arc<AtomicUsize>,
    go_home: Arc<AtomicBool>,
) -> Vec<Acknowledged> {
    let mut journal = Vec::new();
    for (round, count) in (0_u64..).zip(number..) {
        if go_home.load(Ordering::Relaxed) {
            break;
        }
        let (book, qty) = (1 + (round * 7 + count as u64) % BOOKS, 1 + round % 50);
        let key = format!("{number}-{round}");
        let answer = insist(&desks, count, book, qty, &key).await;
        let revision = answer["revision"].as_u64().unwrap();
        journal.push(Acknowledged { stream: format!("book-{book}"), revision, key, qty });
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    journal
}

/// Sends one command until it is acknowledged, to one desk after the other.
async fn insist(desks: &[Site], first: usize, book: u64, qty: u64, key: &str) -> Value {
    let started = Instant::now();
    let (path, body) = (format!("/books/{book}/warehousings"), json!({"qty": qty}));
    let mut attempt = first;
    loop {
        match desks[attempt % desks.len()].post_keyed(&path, &body, Some(key)).await {
            Ok(answer) if answer.status == 201 => return answer.json(201),
            Ok(answer) if answer.status != 503 => panic!("{answer:?}"),
            refused => assert!(started.elapsed() < PATIENCE, "still refused: {refused:?}"),
        }
        tokio::time::sleep(PAUSE).await;
        attempt += 1;
    }
}

/// Whether the event store at `url` has every command of the journal once, where its answer said, and nothing else;
/// returns the stocks that this makes.
///
/// # Panics
/// When it has not.
pub async fn assert_booked_once(url: &str, journal: &[Acknowledged]) -> BTreeMap<u64, u64> {
    let stored: Vec<Acknowledged> = whole_log(url).await.iter().map(of_event).collect();
    let once: BTreeSet<_> = stored.iter().cloned().collect();
    assert_eq!(once.len(), stored.len(), "an event came twice");
    let promised: BTreeSet<_> = journal.iter().cloned().collect();
    assert_eq!(promised.len(), journal.len(), "two commands had the same answer");
    assert_eq!(promised.difference(&once).next(), None, "acknowledged and lost");
    assert_eq!(once.difference(&promised).next(), None, "booked twice, or for nobody");
    let mut stocks = BTreeMap::new();
    for command in journal {
        let book = command.stream.trim_start_matches("book-").parse().unwrap();
        *stocks.entry(book).or_default() += command.qty;
    }
    stocks
}

async fn whole_log(url: &str) -> Vec<StoredEvent> {
    let store = Kurrent::connect(url, Options { call_timeout: PATIENCE, ..Options::default() }).unwrap();
    let (mut log, mut from) = (Vec::new(), Start::Beginning);
    loop {
        let page = store.read_all(from, Direction::Forwards, 1_000).await.unwrap();
        let Some(last) = page.last() else { return log };
        from = Start::<Position>::At(last.position);
        log.extend(page);
    }
}

fn of_event(event: &StoredEvent) -> Acknowledged {
    let (data, metadata): (Value, Value) =
        (serde_json::from_slice(&event.data).unwrap(), serde_json::from_slice(&event.metadata).unwrap());
    Acknowledged {
        stream: event.stream.clone(),
        revision: event.revision,
        key: metadata["idempotencyKey"].as_str().unwrap().to_owned(),
        qty: data["qty"].as_u64().unwrap(),
    }
}
