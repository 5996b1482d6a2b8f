//! `replay rebuild`: makes the read models anew beside those that serve, compares, and lets the new ones serve.

use super::verify;
use crate::build::Build;
use crate::drift::{self, Compared};
use crate::log;
use crate::places::Places;
use crate::progress::Progress;
use crate::table::count;
use crate::tell::{Outcome, Tell};
use crate::waiting;
use anyhow::{Context as _, ensure};
use event_store::{EventStore as _, Kurrent, Position};
use read_model::generation::{self, FOLD_VERSION, Kind, SwitchError};
use read_model::parity::{Among, Snapshot};
use read_model::{Database, migrate};
use serde::Serialize;
use std::time::{Duration, Instant};

/// How often serving is switched to a generation that has to catch up first.
const ATTEMPTS: usize = 100;

/// Make the read models anew from the log, while commands and queries go on.
///
/// A new generation is built beside the one that serves and compared with it at the same position; then, in one
/// transaction, it serves. The one before is kept current: `replay rollback` goes back to it at once. Ctrl-C drops what was
/// built; Ctrl-Z pauses it, `fg` lets it go on.
#[derive(Debug, clap::Args)]
pub(crate) struct Rebuild {
    /// Fold this view only, and copy the others from the generation that serves.
    #[arg(long, value_name = "VIEW", value_parser = super::view)]
    view: Option<String>,

    /// Build and compare, tell what would come of it, and drop it.
    #[arg(long)]
    dry_run: bool,

    /// Let the new generation serve although it differs.
    #[arg(long)]
    accept_difference: bool,

    /// Build up to this position only, and never let it serve.
    #[arg(long, value_name = "POSITION", conflicts_with_all = ["accept_difference", "dry_run", "view"])]
    to: Option<Position>,

    /// Tell so many differing rows at most; all are counted.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rebuilt {
    /// The new generation.
    generation: i32,
    /// The one that served before.
    before: Option<i32>,
    events: u64,
    seconds: f64,
    position: String,
    outcome: What,
    /// Why nothing was compared, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_compared: Option<String>,
    compared: Option<Compared>,
    parked: usize,
    /// Streams that waited in the one before and go on in this one; they were not compared.
    freed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum What {
    /// It serves.
    Switched,
    /// It stays beside the one that serves, at a position.
    Frozen,
    /// It would serve, if this were no dry run.
    WouldSwitch,
    /// It differs, and was dropped.
    Refused,
}

/// What there is to compare with.
enum Before {
    /// A generation made from the same store.
    Comparable(Snapshot),
    /// None, or none that can be compared, and why.
    Incomparable(String),
}

impl Rebuild {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let (store, database) = (places.store()?, places.database()?);
        let stop = service_kit::shutdown::on_signal(Duration::ZERO)?;
        store.ping().await?;
        migrate(&places.database_url()?).await?;
        let started = Instant::now();
        let mut build = Build::begin(places, &store, &database, Kind::Next).await?;
        let rebuilding = self.rebuild(&store, &database, &mut build);
        let rebuilt = stop.run_until_cancelled(rebuilding).await;
        let kept = matches!(&rebuilt, Some(Ok(Rebuilt { outcome: What::Switched | What::Frozen, .. })));
        let given_up = if kept {
            String::new()
        } else {
            // Whatever comes of that, what failed first is told.
            build.give_up().await.unwrap_or_else(|error| format!("{error:#}"))
        };
        let mut rebuilt =
            rebuilt.with_context(|| format!("stopped; {given_up}"))?.with_context(|| given_up)?;
        rebuilt.seconds = started.elapsed().as_secs_f64();
        tell.document(&rebuilt, || rebuilt.text())?;
        Ok(if rebuilt.outcome == What::Refused { Outcome::Found } else { Outcome::Done })
    }

    async fn rebuild(
        &self,
        store: &Kurrent,
        database: &Database,
        build: &mut Build,
    ) -> anyhow::Result<Rebuilt> {
        let mut rebuilt = Rebuilt {
            generation: build.lease.generation,
            before: None,
            events: 0,
            seconds: 0.0,
            position: String::new(),
            outcome: What::Switched,
            not_compared: None,
            compared: None,
            parked: 0,
            freed: 0,
        };
        if let Some(to) = self.to {
            rebuilt.events += read(build, Some(to), "building", store).await?;
            build.index().await?;
            generation::freeze(&build.connection, &build.lease).await?;
            rebuilt.outcome = What::Frozen;
            rebuilt.close(build).await?;
            return Ok(rebuilt);
        }
        let before = before(store, database).await?;
        let same_store = matches!(before, Before::Comparable(_));
        let is_alike = match before {
            Before::Comparable(serving) => {
                rebuilt.before = Some(serving.generation);
                let (compared, freed, events) = self.compare(store, database, build, serving).await?;
                rebuilt.events += events;
                rebuilt.freed = freed;
                let is_alike = compared.differing() == 0;
                rebuilt.compared = Some(compared);
                is_alike
            }
            Before::Incomparable(reason) => {
                ensure!(
                    self.view.is_none(),
                    "--view needs a generation to take the other views from: {reason}"
                );
                rebuilt.before = generation::active(&build.connection).await?.map(|one| one.number);
                rebuilt.not_compared = Some(reason);
                rebuilt.events += read(build, None, "building", store).await?;
                build.index().await?;
                // Where nothing served, there is nothing that could be lost.
                rebuilt.before.is_none()
            }
        };
        rebuilt.outcome = match (is_alike || self.accept_difference, self.dry_run) {
            (false, _) => What::Refused,
            (true, true) => What::WouldSwitch,
            (true, false) => {
                rebuilt.events += switch(store, build, !same_store).await?;
                What::Switched
            }
        };
        rebuilt.close(build).await?;
        Ok(rebuilt)
    }

    /// Builds up to where the serving generation stands, and compares.
    async fn compare(
        &self,
        store: &Kurrent,
        database: &Database,
        build: &mut Build,
        serving: Snapshot,
    ) -> anyhow::Result<(Compared, usize, u64)> {
        let mut events = 0;
        if let Some(view) = &self.view {
            ensure!(
                serving.fold_version == FOLD_VERSION,
                "--view cannot take the other views from version {} of the views; rebuild all of them",
                serving.fold_version
            );
            events += build.one_view(view).await?;
        }
        let (snapshot, further) = verify::catch_up(serving, database, build, "building").await?;
        build.index().await?;
        let tables = drift::tables(None);
        // What only waits in the one that serves goes on in the new one: that is no reason to refuse it.
        let mut waiting = waiting::behind(&snapshot, build, None).await?;
        // Of one whose events are gone from the log, nothing goes on: it is a difference.
        let lost = build.without(snapshot.generation).await?;
        waiting.retain(|parked| !lost.contains(&parked.book_id));
        let books: Vec<_> = waiting.iter().map(|parked| parked.book_id).collect();
        let without = waiting::numbers(&books);
        if self.view.is_some() {
            // The views that were copied have them as they wait there.
            build.try_again(books).await?;
        }
        let among = Among { only: None, without: &without };
        let compared = Compared::of(&snapshot, build, store, &tables, among, self.limit).await?;
        Ok((compared, waiting.len(), events + further))
    }
}

/// Whether the generation that serves can be compared.
async fn before(store: &Kurrent, database: &Database) -> anyhow::Result<Before> {
    let Some(serving) = Snapshot::of_serving(database).await? else {
        return Ok(Before::Incomparable("no generation served before".to_owned()));
    };
    let position = Position(serving.checkpoint.position);
    if let Some(expected) = serving.checkpoint.event_id
        && store.read_at(position).await?.map(|event| event.id) != Some(expected)
    {
        let generation = serving.generation;
        return Ok(Before::Incomparable(format!(
            "generation {generation} was made from another event store: event {expected} is not at position {position}"
        )));
    }
    Ok(Before::Comparable(serving))
}

/// Applies the log up to `end`, or to where it ends now; answers how many events.
async fn read(
    build: &mut Build,
    end: Option<Position>,
    what: &'static str,
    store: &Kurrent,
) -> anyhow::Result<u64> {
    let last = log::last(store).await?.map_or(0, |event| event.position.0);
    let mut progress = Progress::start(what, end.map_or(last, |end| end.0.min(last)));
    build.go_on(end, &mut progress).await?;
    Ok(progress.events())
}

/// Lets the generation serve as soon as it is where the other one is; answers how many events that took.
async fn switch(store: &Kurrent, build: &mut Build, whatever_position: bool) -> anyhow::Result<u64> {
    let (mut events, mut reason) = (0, String::new());
    for _ in 0..ATTEMPTS {
        events += read(build, None, "catching up", store).await?;
        match generation::switch(&mut build.connection, &build.lease, whatever_position).await {
            Ok(_) => return Ok(events),
            Err(behind @ SwitchError::Behind { .. }) => reason = behind.to_string(),
            // A long stream is being folded anew, or many rows get their indexes.
            Err(SwitchError::Database(error)) if error.is_contention() => reason = error.to_string(),
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!(
        "the new generation could not take over in {ATTEMPTS} attempts, in the last because: {reason}; try again when there is \
         less to do"
    )
}

impl Rebuilt {
    async fn close(&mut self, build: &Build) -> anyhow::Result<()> {
        self.position = build.checkpoint.position.to_string();
        self.parked = build.parked().await?.len();
        Ok(())
    }

    fn text(&self) -> String {
        let Self { generation, events, seconds, position, .. } = self;
        let mut text = format!("{} events up to position {position} in {seconds:.1} s\n", count(*events));
        if let Some(compared) = &self.compared {
            text.push_str(&compared.text());
            text.push('\n');
        }
        if let Some(reason) = &self.not_compared {
            text.push_str(&format!("nothing was compared: {reason}\n"));
        }
        if self.parked > 0 {
            text.push_str(&format!("{} streams stand still at an event that cannot be read\n", self.parked));
        }
        if self.freed > 0 {
            let freed = self.freed;
            text.push_str(&format!(
                "{freed} streams that wait in the one that serves go on in the new one\n"
            ));
        }
        let before = self.before.map(|before| format!("generation {before}"));
        text + &match (self.outcome, before) {
            (What::Switched, Some(before)) => {
                format!("generation {generation} serves; {before} is kept, `replay rollback` goes back to it")
            }
            (What::Switched, None) => format!("generation {generation} serves"),
            (What::Frozen, _) => format!(
                "generation {generation} stays at that position; `replay generations --drop {generation}` removes it"
            ),
            (What::WouldSwitch, _) => {
                "dry run: it would serve now; it was dropped and nothing was changed".to_owned()
            }
            (What::Refused, Some(before)) => format!(
                "the new generation differs, so it was dropped and {before} goes on serving; --accept-difference lets \
                 the new one serve"
            ),
            (What::Refused, None) => "the new generation was dropped".to_owned(),
        }
    }
}
