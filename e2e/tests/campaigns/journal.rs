//! What was promised to a client, on disk before it goes on; and whether the promises were kept.

use event_store::{Direction, EventStore as _, Kurrent, Options, Position, Start, StoredEvent};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// One command, as a client means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meant {
    /// The id of its request, however often it is sent.
    pub(super) name: String,
    /// The key that it is repeated with: its client's, or one that it was told; without one it is not repeated.
    pub(super) key: Option<String>,
    pub(super) book: u64,
    pub(super) deed: Deed,
}

/// What is done to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Warehouse(u64),
    Renew,
    Correct(i64),
}

impl Meant {
    /// The path and the body that say so.
    pub(super) fn request(&self) -> (String, Value) {
        let (route, body) = match self.deed {
            Deed::Warehouse(qty) => ("warehousings", json!({"qty": qty})),
            Deed::Renew => ("renewals", json!({})),
            Deed::Correct(qty_delta) => {
                ("corrections", json!({"qtyDelta": qty_delta, "reason": "counted again"}))
            }
        };
        (format!("/books/{}/{route}", self.book), body)
    }

    /// The stock that it makes of `stock`, by the rules as the glossary has them.
    fn applied(&self, stock: i64) -> i64 {
        match self.deed {
            Deed::Warehouse(qty) => stock + i64::try_from(qty).unwrap(),
            Deed::Renew => 100,
            Deed::Correct(qty_delta) => stock + qty_delta,
        }
    }

    /// Whether `event` is what this command leads to.
    fn is_told_by(&self, event: &StoredEvent, data: &Value, key: &Value) -> bool {
        event.stream == format!("book-{}", self.book)
            && self.key.as_ref().is_none_or(|meant| key == meant)
            && match self.deed {
                Deed::Warehouse(qty) => event.event_type == "Warehoused" && data["qty"] == qty,
                Deed::Renew => event.event_type == "Renewed",
                Deed::Correct(qty_delta) => event.event_type == "Corrected" && data["qtyDelta"] == qty_delta,
            }
    }
}

/// A client's own journal: a line for each acknowledgement, synced.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    meant: Vec<(Meant, Value)>,
    /// What nobody was told about: booked once, or never.
    perhaps: Vec<Meant>,
}

impl Journal {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { file: File::create_new(&path).unwrap(), path, meant: Vec::new(), perhaps: Vec::new() }
    }

    /// Keeps the answer to a command. When this returns, no crash of the client's machine could make it forget.
    pub(super) fn keep(&mut self, meant: Meant, answer: Value) {
        let line = json!({"name": meant.name, "answer": answer});
        self.file.write_all(format!("{line}\n").as_bytes()).unwrap();
        self.file.sync_data().unwrap();
        self.meant.push((meant, answer));
    }

    /// Remembers a command that went without a key and whose answer was lost.
    pub(super) fn lose(&mut self, meant: Meant) {
        self.perhaps.push(meant);
    }

    /// What was acknowledged so far.
    pub(super) fn acknowledged(&self) -> &[(Meant, Value)] {
        &self.meant
    }

    /// The journal as it is on disk, which counts at the end: each command with its answer, if it had one.
    fn read(self) -> Vec<(Meant, Option<Value>)> {
        let answers = answers_in(&self.path);
        assert_eq!(answers.len(), self.meant.len(), "the journal lost a line");
        let acknowledged = self.meant.into_iter().zip(answers).map(|((meant, _), line)| {
            assert_eq!(line["name"], meant.name);
            (meant, Some(line["answer"].clone()))
        });
        acknowledged.chain(self.perhaps.into_iter().map(|meant| (meant, None))).collect()
    }
}

fn answers_in(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether the event store at `url` holds each command of the journals once, where and as its answer said, those without an
/// answer once at most, and nothing else; returns the stocks that this makes.
pub(super) async fn assert_kept(url: &str, journals: Vec<Journal>) -> BTreeMap<u64, u64> {
    let mut promised: BTreeMap<String, (Meant, Option<Value>)> = BTreeMap::new();
    for (meant, answer) in journals.into_iter().flat_map(Journal::read) {
        assert!(promised.insert(meant.name.clone(), (meant, answer)).is_none(), "a name was used twice");
    }
    let (mut found, mut books) = (BTreeSet::new(), BTreeMap::<u64, (u64, i64)>::new());
    for event in whole_log(url).await {
        let (data, metadata): (Value, Value) =
            (serde_json::from_slice(&event.data).unwrap(), serde_json::from_slice(&event.metadata).unwrap());
        let name = metadata["$correlationId"].as_str().unwrap().to_owned();
        let Some((meant, answer)) = promised.get(&name) else { panic!("booked for nobody: {event:?}") };
        assert!(found.insert(name), "booked twice: {meant:?}");
        assert!(meant.is_told_by(&event, &data, &metadata["idempotencyKey"]), "{meant:?} became {event:?}");
        let (next_revision, stock) = books.entry(meant.book).or_default();
        assert_eq!(event.revision, *next_revision, "a gap in {}", event.stream);
        *next_revision += 1;
        *stock = meant.applied(*stock);
        let Some(answer) = answer else { continue };
        let told = (answer["revision"].as_u64(), answer["stock"].as_i64());
        assert_eq!(told, (Some(event.revision), Some(*stock)), "{meant:?} was told {answer}");
        let position: u64 = answer["position"].as_str().unwrap().parse().unwrap();
        assert!(position >= event.position.0, "{answer} lies before its event at {:?}", event.position);
    }
    let is_lost =
        |(meant, answer): &&(Meant, Option<Value>)| answer.is_some() && !found.contains(&meant.name);
    let lost: Vec<_> = promised.values().filter(is_lost).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    books.into_iter().map(|(book, (_, stock))| (book, u64::try_from(stock).unwrap())).collect()
}

async fn whole_log(url: &str) -> Vec<StoredEvent> {
    let store = Kurrent::connect(url, Options { call_timeout: e2e::PATIENCE, ..Options::default() }).unwrap();
    let (mut log, mut from) = (Vec::new(), Start::Beginning);
    loop {
        let page = store.read_all(from, Direction::Forwards, 1_000).await.unwrap();
        let Some(last) = page.last() else { return log };
        from = Start::<Position>::At(last.position);
        log.extend(page);
    }
}
