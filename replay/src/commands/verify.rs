//! `replay verify`: folds the log again and compares with the read models that serve, row by row.

use crate::after::{self, AfterCheck, Place, Share, Unchecked, Wrong};
use crate::build::Build;
use crate::drift::{self, Compared};
use crate::log::{self, Until};
use crate::places::Places;
use crate::progress::Progress;
use crate::table::{Table, count};
use crate::tell::{Outcome, Tell, note};
use anyhow::{Context as _, bail, ensure};
use domain::book::{BookId, STREAM_PREFIX};
use event_store::{Direction, EventStore as _, Kurrent, Position, Start};
use projector::Understood;
use read_model::Database;
use read_model::batch::Batch;
use read_model::generation::{FOLD_VERSION, Kind};
use read_model::parity::Snapshot;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Fold the log again and compare it with the read models that serve.
///
/// Nothing that serves is touched: the fold goes into tables of its own, which are dropped at the end.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// This view only.
    #[arg(long, value_name = "VIEW", value_parser = super::view)]
    view: Option<String>,

    /// Only so many books, chosen at random.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    sample: Option<u32>,

    /// Tell so many drifted rows at most; all are counted.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    generation: i32,
    events: u64,
    seconds: f64,
    #[serde(flatten)]
    compared: Compared,
    /// Events whose metadata tells another state than the fold.
    wrong_after: u64,
    wrong_after_events: Vec<WrongAfter>,
    /// Events that could not be held against the fold.
    unchecked: u64,
    unchecked_events: Vec<UncheckedEvent>,
    /// Streams that stand still at an event that nobody can read.
    parked: Vec<ParkedStream>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrongAfter {
    #[serde(flatten)]
    event: Event,
    says: String,
    folds_to: String,
}

#[derive(Serialize)]
struct UncheckedEvent {
    #[serde(flatten)]
    event: Event,
    why: String,
}

/// Where an event is.
#[derive(Serialize)]
struct Event {
    stream: String,
    revision: u64,
    position: String,
}

#[derive(Serialize)]
struct ParkedStream {
    stream: String,
    revision: u64,
    position: String,
    reason: String,
}

impl Verify {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let (store, database) = (places.store()?, places.database()?);
        let started = Instant::now();
        let stop = service_kit::shutdown::on_signal(Duration::ZERO)?;
        let serves = of_this_store(&store, &database).await?;
        let mut build = Build::begin(places, &store, &database, Kind::Scratch).await?;
        let verified = stop.run_until_cancelled(self.verify(&store, &database, &mut build, serves)).await;
        if let Err(error) = build.give_up().await {
            note(format_args!("{error:#}"));
        }
        let mut verified = verified.context("stopped; nothing was changed")??;
        verified.seconds = started.elapsed().as_secs_f64();
        tell.document(&verified, || verified.text())?;
        let is_right = verified.compared.differing() == 0 && verified.wrong_after == 0;
        Ok(if is_right { Outcome::Done } else { Outcome::Found })
    }

    async fn verify(
        &self,
        store: &Kurrent,
        database: &Database,
        build: &mut Build,
        at_first: Snapshot,
    ) -> anyhow::Result<Verified> {
        let mut after = AfterCheck::of((Share::ALL, 0));
        let (snapshot, only, events) = match self.sample {
            Some(books) => {
                let only = at_first.sample(books).await?;
                let events = apply_books(store, &only, &at_first, build, &mut after).await?;
                (at_first, Some(only), events)
            }
            None => {
                build.after = Some(after);
                let (snapshot, events) = catch_up(at_first, database, build, "folding").await?;
                after = build.after.take().context("the check of the metadata ended early")?;
                (snapshot, None, events)
            }
        };
        let tables = drift::tables(self.view.as_deref());
        let compared = Compared::of(&snapshot, build, store, &tables, only.as_deref(), self.limit).await?;
        while let Some(share) = after.left.pop() {
            after.join(check_again(store, share, snapshot.checkpoint.position).await?);
        }
        for skip in std::mem::take(&mut after.skips) {
            // One that was deleted since then has no events, which tells nothing.
            let stream = skip.book.stream();
            let events =
                store.read_stream(&stream, Start::Beginning, Direction::Forwards, usize::MAX).await?;
            after.note(after::of_skip(skip, &events));
        }
        let parked = build.parked().await?;
        let parked = parked.iter().map(|parked| ParkedStream {
            stream: parked.book_id.stream(),
            revision: parked.revision,
            position: parked.position.to_string(),
            reason: parked.reason.clone(),
        });
        Ok(Verified {
            generation: snapshot.generation,
            events,
            seconds: 0.0,
            compared,
            wrong_after: after.wrong.count,
            wrong_after_events: told(after.wrong.first, self.limit),
            unchecked: after.unchecked.count,
            unchecked_events: told(after.unchecked.first, self.limit),
            parked: parked.collect(),
        })
    }
}

/// The generation that serves, if it was made from this store by this version of the views.
async fn of_this_store(store: &Kurrent, database: &Database) -> anyhow::Result<Snapshot> {
    let snapshot = Snapshot::of_serving(database).await?;
    let snapshot = snapshot.context("no generation of the read models serves; start the projector once")?;
    let theirs = snapshot.fold_version;
    ensure!(
        theirs == FOLD_VERSION,
        "the read models that serve were folded by version {theirs} of the views, and this program has version \
         {FOLD_VERSION}; verify them with the program that made them, or run `replay rebuild`"
    );
    let position = Position(snapshot.checkpoint.position);
    if let Some(expected) = snapshot.checkpoint.event_id
        && store.read_at(position).await?.map(|event| event.id) != Some(expected)
    {
        bail!(
            "the read models were made from another event store: event {expected} is not at position {position}; \
             connect the store they were made from, or make them anew with `replay rebuild`"
        );
    }
    Ok(snapshot)
}

/// Builds up to where the generation that serves stands, and answers it as it stands there.
///
/// Most of the way is gone without a snapshot of it, because an old one keeps PostgreSQL from cleaning up.
pub(super) async fn catch_up(
    at_first: Snapshot,
    database: &Database,
    build: &mut Build,
    what: &'static str,
) -> anyhow::Result<(Snapshot, u64)> {
    let goal = Position(at_first.checkpoint.position);
    drop(at_first);
    let mut progress = Progress::start(what, goal.0);
    build.go_on(Some(goal), &mut progress).await?;
    let snapshot = Snapshot::of_serving(database).await?.context("no generation serves any more")?;
    build.go_on(Some(Position(snapshot.checkpoint.position)), &mut progress).await?;
    let (ours, theirs) = (build.checkpoint, snapshot.checkpoint);
    ensure!(
        ours == theirs,
        "the log was read up to position {}, and the read models that serve are at {}: the event store does not tell \
         the event they stand at",
        ours.position,
        theirs.position
    );
    Ok((snapshot, progress.events()))
}

/// Applies all events of some books, up to the snapshot; answers how many there were.
async fn apply_books(
    store: &Kurrent,
    books: &[i64],
    snapshot: &Snapshot,
    build: &mut Build,
    after: &mut AfterCheck,
) -> anyhow::Result<u64> {
    let end = snapshot.checkpoint.position;
    let mut batch = Batch::default();
    for number in books {
        let book = BookId::try_from(u64::try_from(*number)?)?;
        let events =
            store.read_stream(&book.stream(), Start::Beginning, Direction::Forwards, usize::MAX).await?;
        for event in events.iter().take_while(|event| event.position.0 <= end) {
            match projector::decode(event) {
                Some(Understood::Happened(happening)) => {
                    after.hear(&happening, event);
                    batch.happenings.push(happening);
                }
                Some(Understood::Unreadable(trouble)) => {
                    after.cannot_read(&trouble);
                    batch.unreadable.push(trouble);
                }
                None => {}
            }
        }
    }
    batch.happenings.sort_by_key(|happening| happening.position);
    batch.unreadable.sort_by_key(|trouble| trouble.position);
    build.apply(&batch).await?;
    Ok(batch.len() as u64)
}

/// Reads the log once more, for books that did not fit into memory before.
async fn check_again(store: &Kurrent, share: (Share, u64), end: u64) -> anyhow::Result<AfterCheck> {
    let mut check = AfterCheck::of(share);
    let mut progress = Progress::start("checking metadata", end);
    let mut hearing = log::hear(store, None, &[STREAM_PREFIX], Until::End(Some(Position(end))));
    while let Some(events) = hearing.batch().await? {
        for event in &events {
            // Most are of other shares, and need not be decoded for that.
            if check.takes(&event.stream) {
                match projector::decode(event) {
                    Some(Understood::Happened(happening)) => check.hear(&happening, event),
                    Some(Understood::Unreadable(trouble)) => check.cannot_read(&trouble),
                    None => {}
                }
            }
        }
        progress.done(events.len(), events.last().map_or(0, |event| event.position.0));
    }
    Ok(check)
}

/// The first of them, as they are told.
fn told<T: From<F>, F>(found: Vec<F>, most: usize) -> Vec<T> {
    found.into_iter().take(most).map(T::from).collect()
}

impl From<Place> for Event {
    fn from(Place { book, revision, position }: Place) -> Self {
        Self { stream: book.stream(), revision, position: position.to_string() }
    }
}

impl From<Wrong> for WrongAfter {
    fn from(Wrong { place, says, folds_to }: Wrong) -> Self {
        Self { event: place.into(), says, folds_to }
    }
}

impl From<Unchecked> for UncheckedEvent {
    fn from(Unchecked { place, why }: Unchecked) -> Self {
        Self { event: place.into(), why }
    }
}

impl Verified {
    fn text(&self) -> String {
        let mut text = format!(
            "generation {}, {} events folded in {:.1} s, {}\n",
            self.generation,
            count(self.events),
            self.seconds,
            self.compared.text()
        );
        if self.wrong_after > 0 {
            let mut table =
                Table::new(&["position>", "revision>", "stream", "its metadata says", "it folds to"]);
            for WrongAfter { event, says, folds_to } in &self.wrong_after_events {
                let Event { stream, revision, position } = event;
                let (stream, revision) = (stream.clone(), revision.to_string());
                table.row([position.clone(), revision, stream, says.clone(), folds_to.clone()]);
            }
            let wrong = count(self.wrong_after);
            text.push_str(&format!("\n{wrong} events tell another state after them\n\n{}", table.text()));
        }
        if self.unchecked > 0 {
            let mut table = Table::new(&["position>", "revision>", "stream", "why"]);
            for UncheckedEvent { event, why } in &self.unchecked_events {
                let Event { stream, revision, position } = event;
                table.row([position.clone(), revision.to_string(), stream.clone(), why.clone()]);
            }
            let unchecked = count(self.unchecked);
            text.push_str(&format!(
                "\n{unchecked} events could not be held against the fold\n\n{}",
                table.text()
            ));
        }
        for ParkedStream { stream, revision, position, reason } in &self.parked {
            text.push_str(&format!(
                "\n{stream} stands still at event {revision}, position {position}: {reason}\n"
            ));
        }
        if self.compared.differing() == 0 && self.wrong_after == 0 {
            text.push_str("\nno drift: the read models are what the log says");
        } else {
            text.push_str("\ndrift was found; `replay rebuild` makes the read models anew");
        }
        text
    }
}
