//! Clients that warehouse one copy of some book again and again, and what they are answered.

use campaign::Rng;
use e2e::{Answer, Site};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How many books there are.
const BOOKS: u64 = 1_000;

/// How often it is looked whether requests are due.
const TICK: Duration = Duration::from_millis(2);

/// What was answered in a while.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How long each command took that was booked.
    booked: Vec<Duration>,
    /// How many were refused because it was too much.
    pub(super) shed: usize,
    elapsed: Duration,
}

impl Tally {
    /// How many commands were booked in a second.
    pub(super) fn goodput(&self) -> f64 {
        f64::from(u32::try_from(self.booked.len()).unwrap()) / self.elapsed.as_secs_f64()
    }

    /// How long all but a hundredth of the booked commands took at most, in milliseconds.
    pub(super) fn p99_ms(&mut self) -> f64 {
        self.booked.sort_unstable();
        self.booked[(self.booked.len() - 1) * 99 / 100].as_secs_f64() * 1e3
    }

    fn take(&mut self, answer: &Answer, took: Duration) {
        match answer.status {
            201 => self.booked.push(took),
            429 | 503 => {
                assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
                assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
                self.shed += 1;
            }
            _ => panic!("{answer:?}"),
        }
    }
}

async fn warehouse(site: &Site, book: u64) -> (Answer, Duration) {
    let sent = Instant::now();
    let answer = site.warehouse(book, 1).await;
    (answer, sent.elapsed())
}

/// So many callers, each with one command under way at any time.
pub(super) async fn in_turns(site: &Site, callers: usize, span: Duration, rng: &mut Rng) -> Tally {
    let started = Instant::now();
    let mut calling = JoinSet::new();
    for _ in 0..callers {
        let (site, mut rng) = (site.clone(), rng.fork());
        calling.spawn(async move {
            let mut tally = Tally::default();
            while started.elapsed() < span {
                let (answer, took) = warehouse(&site, rng.u64(1..=BOOKS)).await;
                tally.take(&answer, took);
            }
            tally
        });
    }
    let mut all = Tally::default();
    for Tally { booked, shed, .. } in calling.join_all().await {
        all.booked.extend(booked);
        all.shed += shed;
    }
    all.elapsed = started.elapsed();
    all
}

/// So many commands a second, whatever becomes of those before: an open loop.
pub(super) async fn at_a_rate(site: &Site, rate: f64, span: Duration, rng: &mut Rng) -> Tally {
    let started = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut under_way, mut tally, mut sent) = (JoinSet::new(), Tally::default(), 0.0);
    while started.elapsed() < span {
        ticks.tick().await;
        while sent < rate * started.elapsed().as_secs_f64() {
            sent += 1.0;
            let (site, book) = (site.clone(), rng.u64(1..=BOOKS));
            under_way.spawn(async move { warehouse(&site, book).await });
        }
        while let Some(answered) = under_way.try_join_next() {
            let (answer, took) = answered.unwrap();
            tally.take(&answer, took);
        }
    }
    for (answer, took) in under_way.join_all().await {
        tally.take(&answer, took);
    }
    tally.elapsed = started.elapsed();
    tally
}
