//! How far the projection is: as JSON at `/status`, and as metrics.

use crate::ahead::Ahead;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use read_model::Lag;
use serde::Serialize;
use service_kit::clock;
use service_kit::metrics::{Counter, Gauge, Histogram};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

static APPLIED: Counter<0> =
    Counter::new("projection_events_total", "Events that were applied to the generation that serves.", []);
static BEHIND: Gauge<0> = Gauge::new(
    "projection_behind_events",
    "Events that are not applied to the generation that serves; about so many, as long as not all of them were heard.",
    [],
);
static BEHIND_SECONDS: Gauge<0> = Gauge::new(
    "projection_behind_seconds",
    "Age of the oldest event that is not applied; 0 when there is none.",
    [],
);
static ETA_SECONDS: Gauge<0> = Gauge::new(
    "projection_eta_seconds",
    "Time until all events there are are applied, at the rate of the last second; NaN while nobody can say.",
    [],
);
static ACTIVE: Gauge<0> = Gauge::new(
    "projection_active",
    "1 while this projector holds the lease of the generation that serves, else 0.",
    [],
);
static BATCH: Histogram<0> =
    Histogram::new("projection_batch_events", "How many events were applied in one transaction.", []);
static PARKED: Gauge<0> =
    Gauge::new("projection_parked_streams", "Streams of the generation that serves which wait.", []);

/// How far a projector is. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    owner: String,
    generation: Option<i32>,
    position: u64,
    batch_events: usize,
    /// Every event that the store had has been heard.
    caught_up: bool,
    heard: u64,
    applied: u64,
    /// What lies between the last event heard and the end of the log.
    ahead: Ahead,
    parked: u64,
    /// When the first event of each batch that is not applied was stored, in microseconds.
    begun: VecDeque<i64>,
    /// The same of the oldest event that the shift before could not apply, until this one has applied one.
    owed: Option<i64>,
    measured: Option<(Instant, u64)>,
    events_per_second: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    owner: String,
    active: bool,
    generation: Option<i32>,
    position: String,
    caught_up: bool,
    events_behind: u64,
    seconds_behind: f64,
    events_per_second: f64,
    /// Until all events there are are applied; none while nothing moves.
    eta_seconds: Option<f64>,
    parked_streams: u64,
    batch_events: usize,
}

impl Status {
    /// `GET /status`.
    pub fn routes(&self) -> Router {
        let status = |State(status): State<Self>| async move { Json(status.told()) };
        Router::new().route("/status", get(status)).with_state(self.clone())
    }

    /// A shift begins: nothing was heard in it yet. What could not be applied before is as late as it was.
    pub(crate) fn begin(&self, owner: &str, generation: i32, position: u64, batch_events: usize) {
        ACTIVE.of([]).set(1.0);
        let mut known = self.known();
        *known = Known {
            owner: owner.to_owned(),
            generation: Some(generation),
            position,
            batch_events,
            ahead: known.ahead.after(position),
            owed: known.oldest(),
            ..Known::default()
        };
    }

    /// Another projector is active: what is late is its to tell.
    pub(crate) fn stands_by(&self) {
        *self.known() = Known::default();
        for gauge in [&ACTIVE, &BEHIND, &BEHIND_SECONDS, &ETA_SECONDS, &PARKED] {
            gauge.of([]).set(0.0);
        }
    }

    /// The shift is over.
    pub(crate) fn end(&self) {
        ACTIVE.of([]).set(0.0);
        self.known().generation = None;
    }

    /// Every event there was has been heard, or the store was lost.
    pub(crate) fn caught_up(&self, caught_up: bool) {
        let mut known = self.known();
        known.caught_up = caught_up;
        if caught_up && known.begun.is_empty() {
            known.owed = None;
        }
    }

    /// Whether more may be to come than was heard, so that where the log ends has to be asked.
    pub(crate) fn wants_the_end(&self) -> bool {
        let known = self.known();
        !known.caught_up || known.has_a_crowd()
    }

    /// The log ends here now.
    pub(crate) fn ends_at(&self, position: u64) {
        self.known().ahead.ends_at(position);
    }

    /// An event was heard; with it a batch begins, or it joins one.
    pub(crate) fn heard(&self, position: u64, created_micros: i64, begins: bool) {
        let mut known = self.known();
        known.heard += 1;
        known.ahead.heard(position, created_micros);
        if begins {
            known.begun.push_back(created_micros);
        }
    }

    /// The oldest batch was applied.
    pub(crate) fn applied(&self, events: usize, position: u64) {
        BATCH.of([]).record(f64::from(u32::try_from(events).unwrap_or(u32::MAX)));
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        APPLIED.of([]).increment(events);
        let mut known = self.known();
        known.applied += events;
        known.position = position;
        known.begun.pop_front();
        known.owed = None;
    }

    /// So many streams wait; and the rate is measured from now on.
    pub(crate) fn measure(&self, parked: u64) {
        let mut known = self.known();
        known.parked = parked;
        let now = Instant::now();
        if let Some((since, applied)) = known.measured {
            let events = u32::try_from(known.applied - applied).unwrap_or(u32::MAX);
            known.events_per_second = f64::from(events) / now.duration_since(since).as_secs_f64().max(0.001);
        }
        known.measured = Some((now, known.applied));
        BEHIND.of([]).set(f64::from(u32::try_from(known.events_behind()).unwrap_or(u32::MAX)));
        BEHIND_SECONDS.of([]).set(known.seconds_behind());
        ETA_SECONDS.of([]).set(known.eta_seconds().unwrap_or(f64::NAN));
        PARKED.of([]).set(f64::from(u32::try_from(parked).unwrap_or(u32::MAX)));
    }

    /// How late the views are. Nobody knows while not all that the store has was heard, and nothing of it waits.
    pub(crate) fn lag(&self) -> Option<Lag> {
        let known = self.known();
        let events = known.caught_up.then(|| known.events_behind());
        (known.caught_up || known.oldest().is_some()).then(|| Lag { behind: known.behind(), events })
    }

    fn told(&self) -> Told {
        let known = self.known();
        Told {
            owner: known.owner.clone(),
            active: known.generation.is_some(),
            generation: known.generation,
            position: known.position.to_string(),
            caught_up: known.caught_up,
            events_behind: known.events_behind(),
            seconds_behind: known.seconds_behind(),
            events_per_second: known.events_per_second,
            eta_seconds: known.eta_seconds(),
            parked_streams: known.parked,
            batch_events: known.batch_events,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn events_behind(&self) -> u64 {
        self.heard.saturating_sub(self.applied).saturating_add(self.not_heard())
    }

    /// How long the events there are will take; nothing is known while nothing moves.
    fn eta_seconds(&self) -> Option<f64> {
        match self.events_behind() {
            0 => self.caught_up.then_some(0.0),
            behind => (self.events_per_second > 0.0)
                .then(|| f64::from(u32::try_from(behind).unwrap_or(u32::MAX)) / self.events_per_second),
        }
    }

    /// The events of the log that were not heard: none once all that there were had been, but for a crowd that came since.
    fn not_heard(&self) -> u64 {
        if self.caught_up && !self.has_a_crowd() { 0 } else { self.ahead.events() }
    }

    /// A whole batch waits: who writes it may be why no more was heard.
    fn has_a_crowd(&self) -> bool {
        self.heard.saturating_sub(self.applied) >= self.batch_events as u64
    }

    /// When the oldest event that is not applied was stored. Of those that were not heard it is known only that they are
    /// younger than the last that was.
    fn oldest(&self) -> Option<i64> {
        let heard = self.owed.or_else(|| self.begun.front().copied());
        heard.or_else(|| self.ahead.last_created().filter(|_| self.not_heard() > 0))
    }

    /// The age of the oldest event that is not applied: an idle store is not late.
    fn behind(&self) -> Duration {
        let micros = self.oldest().map_or(0, |created| clock::unix_micros().saturating_sub(created).max(0));
        Duration::from_micros(micros.unsigned_abs())
    }

    fn seconds_behind(&self) -> f64 {
        self.behind().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_store_is_not_late_and_a_waiting_event_is_as_late_as_it_is_old() {
        let status = Status::default();
        status.begin("me", 1, 7, 500);
        status.caught_up(true);
        let told = status.told();
        assert_eq!((told.events_behind, told.seconds_behind.to_bits()), (0, 0.0f64.to_bits()));

        status.heard(8, clock::unix_micros() - 60_000_000, true);
        status.heard(9, clock::unix_micros(), false);
        let told = status.told();
        assert_eq!(told.events_behind, 2);
        assert!(told.seconds_behind >= 60.0, "{}", told.seconds_behind);

        status.applied(2, 9);
        let told = status.told();
        assert_eq!((told.events_behind, told.seconds_behind.to_bits()), (0, 0.0f64.to_bits()));
        assert_eq!(
            (told.position.as_str(), told.eta_seconds.map(f64::to_bits)),
            ("9", Some(0.0f64.to_bits()))
        );
    }

    #[test]
    fn what_a_shift_could_not_apply_stays_late_in_the_next_until_it_is_applied_or_somebody_elses() {
        let status = Status::default();
        let late = || status.told().seconds_behind >= 60.0;
        let fails = || {
            status.begin("me", 1, 7, 500);
            status.heard(8, clock::unix_micros() - 60_000_000, true);
            status.end();
            status.begin("me", 1, 7, 500);
        };
        fails();
        assert!(late(), "the next shift has heard nothing yet");
        status.heard(8, clock::unix_micros() - 60_000_000, true);
        status.caught_up(true);
        assert!(late());
        status.applied(1, 8);
        assert!(!late());

        fails();
        // It was applied after all: there is nothing to hear.
        status.caught_up(true);
        assert!(!late());

        fails();
        status.stands_by();
        assert!(!late());
    }
    #[test]
    fn who_begins_late_is_as_late_as_the_log_is_long_and_knows_when_that_ends() {
        let status = Status::default();
        status.begin("me", 1, 0, 500);
        assert!(status.wants_the_end());
        status.ends_at(100_000);
        let an_hour_ago = clock::unix_micros() - 3_600_000_000;
        (1..=1_000).for_each(|position| status.heard(position, an_hour_ago, position % 500 == 1));
        assert_eq!(status.told().events_behind, 100_000);

        status.measure(0);
        status.applied(500, 500);
        status.applied(500, 1_000);
        status.measure(0);
        let told = status.told();
        assert_eq!((told.events_behind, told.caught_up), (99_000, false));
        assert!(
            told.seconds_behind >= 3_600.0,
            "nothing waits, and more is to come: {}",
            told.seconds_behind
        );
        let eta = told.eta_seconds.unwrap();
        assert!((eta * told.events_per_second - 99_000.0).abs() < 1.0, "{eta}");

        // What was asked last stays known, and says nothing once all was heard.
        status.caught_up(true);
        let told = status.told();
        assert_eq!((told.events_behind, told.seconds_behind.to_bits()), (0, 0.0f64.to_bits()));
        assert!(!status.wants_the_end());
    }

    #[test]
    fn a_crowd_of_events_that_comes_at_once_is_counted_though_not_heard() {
        let status = Status::default();
        status.begin("me", 1, 100, 10);
        status.caught_up(true);
        (101..=110).for_each(|position| status.heard(position, clock::unix_micros(), position == 101));
        assert!(status.wants_the_end());
        status.ends_at(600);
        assert_eq!(status.told().events_behind, 500);
    }
}
