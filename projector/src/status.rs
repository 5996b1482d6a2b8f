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
    /// Whether how late the views are is this projector's to tell: it is active, or it was the last to be so.
    tells: bool,
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
    /// None for who does not know, like the next: it stands by, has halted, or was not active yet.
    events_behind: Option<u64>,
    seconds_behind: Option<f64>,
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
            tells: true,
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
        self.forget(0.0);
        PARKED.of([]).set(0.0);
    }

    /// The projection has halted, before another store or views of another version: where it stood says nothing of these.
    pub(crate) fn halts(&self) {
        self.forget(f64::NAN);
    }

    fn forget(&self, behind: f64) {
        *self.known() = Known::default();
        ACTIVE.of([]).set(0.0);
        for gauge in [&BEHIND, &BEHIND_SECONDS, &ETA_SECONDS] {
            gauge.of([]).set(behind);
        }
    }

    /// The shift is over. What comes now is not heard, and is late from now on.
    pub(crate) fn end(&self) {
        ACTIVE.of([]).set(0.0);
        let mut known = self.known();
        if known.caught_up && !known.has_a_crowd() {
            known.ahead.heard_all(clock::unix_micros());
        }
        known.caught_up = false;
        known.generation = None;
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
        known.tells && (!known.caught_up || known.has_a_crowd())
    }

    /// The log ended here at that moment, in microseconds.
    pub(crate) fn ended_at(&self, position: u64, micros: i64) {
        self.known().ahead.ended_at(position, micros);
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

    /// So many streams wait.
    pub(crate) fn parked(&self, parked: u64) {
        self.known().parked = parked;
        PARKED.of([]).set(f64::from(u32::try_from(parked).unwrap_or(u32::MAX)));
    }

    /// The metrics are told; and the rate is measured from now on.
    pub(crate) fn measure(&self) {
        let mut known = self.known();
        if !known.tells {
            return;
        }
        let now = Instant::now();
        if let Some((since, applied)) = known.measured {
            let events = u32::try_from(known.applied - applied).unwrap_or(u32::MAX);
            known.events_per_second = f64::from(events) / now.duration_since(since).as_secs_f64().max(0.001);
        }
        known.measured = Some((now, known.applied));
        BEHIND.of([]).set(f64::from(u32::try_from(known.events_behind()).unwrap_or(u32::MAX)));
        BEHIND_SECONDS.of([]).set(known.behind().as_secs_f64());
        ETA_SECONDS.of([]).set(known.eta_seconds().unwrap_or(f64::NAN));
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
            events_behind: known.tells.then(|| known.events_behind()),
            seconds_behind: known.tells.then(|| known.behind().as_secs_f64()),
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

    /// When the oldest event that is not applied was stored. Of those that were not heard it is known only since when they
    /// are younger than all that was.
    fn oldest(&self) -> Option<i64> {
        let heard = self.owed.or_else(|| self.begun.front().copied());
        heard.or_else(|| self.ahead.heard_until().filter(|_| self.not_heard() > 0))
    }

    /// The age of the oldest event that is not applied: an idle store is not late.
    fn behind(&self) -> Duration {
        let micros = self.oldest().map_or(0, |created| clock::unix_micros().saturating_sub(created).max(0));
        Duration::from_micros(micros.unsigned_abs())
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
        assert_is_not_late(&status);

        status.heard(8, clock::unix_micros() - 60_000_000, true);
        status.heard(9, clock::unix_micros(), false);
        let told = status.told();
        assert_eq!(told.events_behind, Some(2));
        assert!(told.seconds_behind >= Some(60.0), "{:?}", told.seconds_behind);

        status.applied(2, 9);
        let told = assert_is_not_late(&status);
        assert_eq!(
            (told.position.as_str(), told.eta_seconds.map(f64::to_bits)),
            ("9", Some(0.0f64.to_bits()))
        );
    }

    #[test]
    fn what_a_shift_could_not_apply_stays_late_in_the_next_until_it_is_applied_or_somebody_elses() {
        let status = Status::default();
        let late = || status.told().seconds_behind >= Some(60.0);
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
        let an_hour_ago = clock::unix_micros() - 3_600_000_000;
        status.ended_at(100_000, clock::unix_micros());
        (1..=1_000).for_each(|position| status.heard(position, an_hour_ago, position % 500 == 1));
        assert_eq!(status.told().events_behind, Some(100_000));

        status.measure();
        status.applied(500, 500);
        status.applied(500, 1_000);
        status.measure();
        let told = status.told();
        assert_eq!((told.events_behind, told.caught_up), (Some(99_000), false));
        assert!(
            told.seconds_behind >= Some(3_600.0),
            "nothing waits, and more is to come: {:?}",
            told.seconds_behind
        );
        let eta = told.eta_seconds.unwrap();
        assert!((eta * told.events_per_second - 99_000.0).abs() < 1.0, "{eta}");

        // What was asked last stays known, and says nothing once all was heard.
        status.caught_up(true);
        assert_is_not_late(&status);
        assert!(!status.wants_the_end());
    }

    #[test]
    fn what_comes_while_nobody_writes_is_late_since_it_came_and_nobodys_who_stands_by_or_has_halted() {
        let status = Status::default();
        let (now, minutes) = (clock::unix_micros(), 60_000_000);
        assert!(!status.wants_the_end(), "it was not active yet");
        status.begin("me", 1, 0, 500);
        (1..=10).for_each(|position| status.heard(position, now - 60 * minutes, position == 1));
        status.applied(10, 10);
        status.caught_up(true);
        status.end();
        assert!(!assert_is_not_late(&status).caught_up);
        status.ended_at(10, now - 2 * minutes);
        assert_is_not_late(&status);
        status.ended_at(15, now - minutes);
        assert_eq!(status.told().events_behind, Some(5));
        let late = || status.told().seconds_behind.is_some_and(|behind| (60.0..600.0).contains(&behind));
        assert!(late(), "an event of this shift is an hour old, and none that it did not hear");
        status.begin("me", 1, 10, 500);
        assert!(late(), "the next shift has heard nothing yet");

        for leaves_it_to_others in [Status::stands_by, Status::halts] {
            status.begin("me", 1, 10, 500);
            leaves_it_to_others(&status);
            assert_eq!((status.told().events_behind, status.wants_the_end()), (None, false));
        }
    }

    fn assert_is_not_late(status: &Status) -> Told {
        let told = status.told();
        assert_eq!((told.events_behind, told.seconds_behind), (Some(0), Some(0.0)));
        told
    }

    #[test]
    fn a_crowd_of_events_that_comes_at_once_is_counted_though_not_heard() {
        let status = Status::default();
        status.begin("me", 1, 100, 10);
        status.caught_up(true);
        (101..=110).for_each(|position| status.heard(position, clock::unix_micros(), position == 101));
        assert!(status.wants_the_end());
        status.ended_at(600, clock::unix_micros());
        assert_eq!(status.told().events_behind, Some(500));
    }
}
