//! Clients that go on whatever happens, each with a journal.

use super::journal::{Deed, Journal, Meant, assert_kept};
use campaign::{Rng, Run};
use e2e::{Answer, Place, PlainTopology, Process, Site, Topology, command, eventually};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How many give each command a key, and how many leave that to the server.
const KEYED: u64 = 8;
const KEYLESS: u64 = 4;

/// Few, so that writers meet on them.
pub(super) const BOOKS: u64 = 6;

/// After so many commands there is a new book, which nobody knows from before.
const NEW_BOOK_AFTER: usize = 8;

/// So many copies are there at first: more than corrections can take away.
const FIRST: u64 = 1_000_000;

/// How long a writer waits before it sends a command again.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a writer goes on with one command: longer than anything is away.
const PERSISTENCE: Duration = Duration::from_secs(90);

/// Where they work.
pub(super) struct Ground {
    place: Arc<Place>,
    desks: Vec<Site>,
    queries: Site,
    store_url: String,
    database_url: String,
}

impl From<&Topology> for Ground {
    fn from(topology: &Topology) -> Self {
        Self {
            place: Arc::clone(&topology.place),
            desks: topology.desks(),
            queries: topology.queries(),
            store_url: topology.store_url(),
            database_url: topology.postgres.url(),
        }
    }
}

/// By the gateway.
impl From<&PlainTopology> for Ground {
    fn from(topology: &PlainTopology) -> Self {
        let address = |part: &str| topology.part(part)["address"].as_str().unwrap().to_owned();
        Self {
            place: Arc::clone(topology.place()),
            desks: vec![topology.site("gateway")],
            queries: topology.site("gateway"),
            store_url: address("event-store"),
            database_url: address("postgresql"),
        }
    }
}

impl Ground {
    /// `replay verify` folds the log anew and finds every row as it is.
    async fn is_verified(&self) {
        let mut verify = command("replay");
        verify.env("EVENT_STORE_URL", &self.store_url).env("DATABASE_URL", &self.database_url);
        let verified = Process::start(&self.place, "replay", verify.args(["verify", "--json"])).ended().await;
        assert_eq!(verified.code, Some(0), "{verified:?}");
    }
}

/// They, at work.
pub(super) struct Writers {
    ground: Ground,
    at_work: JoinSet<Journal>,
    acknowledged: Arc<AtomicUsize>,
    refused: Arc<Mutex<Vec<Duration>>>,
    latest: Arc<AtomicU64>,
    go_home: Arc<AtomicBool>,
    first: Journal,
}

impl Writers {
    /// Makes the books, and begins.
    pub(super) async fn begin(ground: impl Into<Ground>, run: &mut Run) -> Self {
        let ground = ground.into();
        let (acknowledged, refused) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<_>>::default());
        let (latest, go_home) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut at_work = JoinSet::new();
        let mut writer = |number: u64| Writer {
            number,
            desks: ground.desks.clone(),
            refused: Arc::clone(&refused),
            latest: Arc::clone(&latest),
            rng: run.rng.fork(),
            journal: Journal::new(ground.place.path().join(format!("journal-{number}"))),
        };
        let mut first = writer(0);
        for book in 1..=BOOKS {
            let name = format!("first-{book}");
            let made = Meant { key: Some(name.clone()), name, book, deed: Deed::Warehouse(FIRST) };
            assert!(first.see_through(made).await);
        }
        for number in 1..=KEYED + KEYLESS {
            at_work.spawn(writer(number).work(Arc::clone(&acknowledged), Arc::clone(&go_home)));
        }
        Self { ground, at_work, acknowledged, refused, latest, go_home, first: first.journal }
    }

    /// Waits until so many more commands are acknowledged.
    pub(super) async fn book(&self, more: usize) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + more;
        eventually("the writers get on", async || match self.acknowledged.load(Ordering::Relaxed) {
            so_far if so_far >= goal => Ok(()),
            so_far => Err(format!("{so_far} of {goal} are acknowledged")),
        })
        .await;
    }

    /// The position of the latest command that was acknowledged.
    pub(super) fn latest(&self) -> u64 {
        self.latest.load(Ordering::Relaxed)
    }

    /// Waits until so many commands were refused since it was last asked about.
    pub(super) async fn be_refused(&self, goal: usize) {
        eventually("the writers are refused", async || match self.refused.lock().unwrap().len() {
            so_far if so_far >= goal => Ok(()),
            so_far => Err(format!("{so_far} of {goal} are refused")),
        })
        .await;
    }

    /// How long each refusal took since it was last asked about.
    pub(super) fn refusals(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.refused.lock().unwrap())
    }

    /// Ends it all, and looks whether log and views hold what the journals do.
    pub(super) async fn are_kept_their_word(self) {
        let Self { ground, mut at_work, go_home, first, .. } = self;
        // The last command of each is acknowledged first.
        go_home.store(true, Ordering::Relaxed);
        let mut journals = vec![first];
        while let Some(journal) = at_work.join_next().await {
            journals.push(journal.unwrap());
        }
        let stocks = assert_kept(&ground.store_url, journals).await;
        eventually("the views equal the journals", async || ground.queries.shows(&stocks).await).await;
        ground.is_verified().await;
    }
}

struct Writer {
    number: u64,
    desks: Vec<Site>,
    refused: Arc<Mutex<Vec<Duration>>>,
    latest: Arc<AtomicU64>,
    rng: Rng,
    journal: Journal,
}

impl Writer {
    async fn work(mut self, acknowledged: Arc<AtomicUsize>, go_home: Arc<AtomicBool>) -> Journal {
        let mut is_seen_through = true;
        for round in 0_u64.. {
            // After a command whose answer was lost comes another one, so that the lost one is not on its way at the end.
            if is_seen_through && go_home.load(Ordering::Relaxed) {
                break;
            }
            let name = format!("{}-{round}", self.number);
            let key = (self.number <= KEYED).then(|| name.clone());
            let (book, deed) = match self.rng.u8(0..12) {
                0..3 => {
                    let newest = BOOKS + 1 + (acknowledged.load(Ordering::Relaxed) / NEW_BOOK_AFTER) as u64;
                    (newest, Deed::Warehouse(self.rng.u64(1..=50)))
                }
                3 => (self.rng.u64(1..=BOOKS), Deed::Renew),
                4..7 => (self.rng.u64(1..=BOOKS), Deed::Correct(self.rng.i64(1..=50))),
                _ => (self.rng.u64(1..=BOOKS), Deed::Warehouse(self.rng.u64(1..=50))),
            };
            is_seen_through = self.see_through(Meant { name, key, book, deed }).await;
            if is_seen_through {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            if self.rng.u8(0..4) == 0 {
                self.repeat().await;
            }
        }
        self.journal
    }

    /// Sends a command until it is acknowledged, or nobody can know what became of it, and writes that down. Answers
    /// whether it was acknowledged.
    async fn see_through(&mut self, mut meant: Meant) -> bool {
        let Some(answer) = self.answered(&mut meant).await else {
            self.journal.lose(meant);
            return false;
        };
        let answer = answer.json(201);
        let position = answer["position"].as_str().unwrap().parse().unwrap();
        self.latest.fetch_max(position, Ordering::Relaxed);
        self.journal.keep(meant, answer);
        true
    }

    /// Sends one of the last commands that have a key again, though it was acknowledged: the answer is the first one.
    async fn repeat(&mut self) {
        let last = self.journal.acknowledged().iter().rev().take(20);
        let last: Vec<_> = last.filter(|(meant, _)| meant.key.is_some()).collect();
        let Some((meant, first)) = self.rng.choice(last).cloned() else { return };
        let answer = self.answered(&mut meant.clone()).await.unwrap();
        assert_eq!(unplaced(answer.json(201)), unplaced(first), "{meant:?} was answered otherwise again");
    }

    /// The answer to a command that is sent again and again, with the key that it is told if it has none. None if its answer
    /// was lost before that.
    async fn answered(&mut self, meant: &mut Meant) -> Option<Answer> {
        let started = Instant::now();
        let (path, body) = meant.request();
        loop {
            let sent = Instant::now();
            let desk = self.desks[self.rng.usize(0..self.desks.len())].clone();
            let key = meant.key.as_deref().map(|key| ("idempotency-key", key));
            let headers: Vec<_> = [("x-request-id", meant.name.as_str())].into_iter().chain(key).collect();
            let sending = desk.post_with(&path, &body, &headers);
            // Some clients hang up before they can know anything.
            let hangs_up = meant.key.is_some() && self.rng.u8(0..8) == 0;
            let patience = if hangs_up { self.rng.u64(0..5_000) } else { 20_000_000 };
            match tokio::time::timeout(Duration::from_micros(patience), sending).await {
                Ok(Ok(answer)) if answer.status == 201 => return Some(answer),
                Ok(Ok(answer)) if [502, 503, 504].contains(&answer.status) => {
                    assert_eq!(answer.header("content-type"), "application/problem+json");
                    assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
                    self.refused.lock().unwrap().push(sent.elapsed());
                    assert!(started.elapsed() < PERSISTENCE, "still refused: {answer:?}");
                    let is_unknown = answer.text.contains("urn:bookstock:problem:outcome-unknown");
                    match &meant.key {
                        Some(key) if is_unknown => assert_eq!(answer.header("idempotency-key"), key),
                        Some(_) => {}
                        None if is_unknown => meant.key = Some(answer.header("idempotency-key").to_owned()),
                        // Only a 503 says that nothing was booked; 502 and 504 are the gateway's, which lost the answer.
                        None if answer.status != 503 => return None,
                        None => {}
                    }
                }
                Ok(Ok(answer)) => panic!("{meant:?}: {answer:?}"),
                _ if meant.key.is_none() => return None,
                lost => assert!(started.elapsed() < PERSISTENCE, "still refused: {lost:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// An answer without its position: commands that were booked together are told the position of the last one of them.
fn unplaced(mut answer: Value) -> Value {
    answer["position"].take();
    answer
}
