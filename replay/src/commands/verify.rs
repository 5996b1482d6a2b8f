//! `replay verify`: folds the log again and compares with the read models that serve, row by row.

mod sample;
mod verified;

use crate::after::{self, AfterCheck, Share};
use crate::build::Build;
use crate::drift::{self, Compared};
use crate::gone;
use crate::log::{self, Until};
use crate::places::Places;
use crate::progress::Progress;
use crate::tell::{Outcome, Tell, note};
use crate::waiting;
use anyhow::{Context as _, bail, ensure};
use domain::book::STREAM_PREFIX;
use event_store::{EventStore as _, Kurrent, Position};
use projector::Understood;
use read_model::Database;
use read_model::generation::{FOLD_VERSION, Kind};
use read_model::parity::{Among, Snapshot};
use std::time::{Duration, Instant};
use verified::Verified;

/// Fold the log again and compare it with the read models that serve.
///
/// Nothing that serves is touched: the fold goes into tables of its own, which are dropped at the end. The metadata are
/// checked with so many books at a time as fit into memory, 450,000; with more, the log is read again for the others: ten
/// million books take 32 readings.
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
        Ok(if verified.is_right() { Outcome::Done } else { Outcome::Found })
    }

    async fn verify(
        &self,
        store: &Kurrent,
        database: &Database,
        build: &mut Build,
        at_first: Snapshot,
    ) -> anyhow::Result<Verified> {
        let mut after = AfterCheck::of((Share::ALL, 0));
        let mut gone = Vec::new();
        let (snapshot, only, events) = match self.sample {
            Some(books) => {
                let only = at_first.sample(books).await?;
                let sampled = sample::apply(store, &only, &at_first, build, &mut after).await?;
                gone.extend(sampled.gone);
                (at_first, Some(only), sampled.events)
            }
            None => {
                build.after = Some(after);
                let (snapshot, events) = catch_up(at_first, database, build, "folding").await?;
                after = build.after.take().context("the check of the metadata ended early")?;
                (snapshot, None, events)
            }
        };
        let waiting = waiting::behind(&snapshot, build, only.as_deref()).await?;
        let (waiting, unfoldable) = gone::apart(store, waiting).await?;
        gone.extend(unfoldable);
        for parked in &waiting {
            // As far as it was folded in the one that serves, it is to be right.
            let applied = snapshot.revision(parked.book_id).await?;
            build.fold_up_to(parked.book_id, applied.min(parked.revision.checked_sub(1))).await?;
        }
        if only.is_none() {
            gone.extend(gone::of(store, &snapshot, build).await?);
        }
        gone.sort_unstable();
        gone.dedup();
        let (tables, without) = (drift::tables(self.view.as_deref()), waiting::numbers(&gone));
        let among = Among { only: only.as_deref(), without: &without };
        let compared = Compared::of(&snapshot, build, store, &tables, among, self.limit).await?;
        let (generation, position) = (snapshot.generation, snapshot.checkpoint.position);
        // The log may be read many times more, and an old snapshot keeps PostgreSQL from cleaning up.
        drop(snapshot);
        while let Some(share) = after.left.pop() {
            after.join(check_again(store, share, position).await?);
        }
        for skip in std::mem::take(&mut after.skips) {
            // One that was deleted since then has no events, which tells nothing.
            let events = log::what_is_left(store, &skip.book.stream()).await?;
            after.note(after::of_skip(skip, &events));
        }
        let mut parked = build.parked().await?;
        parked.retain(|parked| !gone.contains(&parked.book_id));
        Ok(Verified::of(generation, events, compared, after, self.limit).with(parked, waiting, &gone))
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
