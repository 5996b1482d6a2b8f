//! Carrying all events of one place to a store, and proving that they are there.

use crate::carry::{Carrier, Order};
use crate::contents::{Contents, Difference};
use crate::origin::{Batch, Origin, Reading};
use crate::progress::Progress;
use crate::table::count;
use crate::tell::{Outcome, note};
use anyhow::Context as _;
use event_store::Kurrent;
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The events that are carried at once: many, so that those of one stream go into one append.
const AT_ONCE: usize = 16_384;

/// How long a target that was asked to take events may be away.
const PATIENCE: Duration = Duration::from_secs(30);

/// From where, to where, and how.
pub(crate) struct Transfer {
    pub(crate) origin: Origin,
    pub(crate) target: Kurrent,
    pub(crate) order: Order,
    /// Go on with what comes, until stopped.
    pub(crate) follow: bool,
    /// Streams of which the metadata stay behind.
    pub(crate) metadata: BTreeSet<String>,
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transferred {
    events: u64,
    seconds: f64,
    order: &'static str,
    /// Both hold the same.
    verified: bool,
    /// Streams that differ.
    differences: Vec<Difference>,
    /// The same events, in another order over all streams than was asked for.
    disordered: bool,
    /// What every store has of its own.
    not_carried: NotCarried,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NotCarried {
    fields: [&'static str; 2],
    stream_metadata: BTreeSet<String>,
}

/// How far it has come.
#[derive(Default)]
struct Carried {
    /// All that was read.
    contents: Contents,
    /// The events of it that are in the target.
    events: u64,
    /// The place in the source up to which they are.
    reached: u64,
}

/// The Ctrl-C after the one that `first` tells of.
fn next_signal(first: &CancellationToken) -> CancellationToken {
    let (first, next) = (first.clone(), CancellationToken::new());
    let cancelled = next.clone();
    tokio::spawn(async move {
        first.cancelled().await;
        let second = service_kit::shutdown::on_signal(Duration::ZERO);
        note("what is there by now is still carried, and all verified; Ctrl-C again stops at once");
        // Without it, this ends as it was asked to: in good order.
        if let Ok(second) = second {
            second.cancelled().await;
            cancelled.cancel();
        }
    });
    next
}

impl Transfer {
    /// Carries, and verifies.
    pub(crate) async fn run(self, what: &'static str) -> anyhow::Result<Transferred> {
        let started = Instant::now();
        let stop = service_kit::shutdown::on_signal(Duration::ZERO)?;
        let at_once = if self.follow { next_signal(&stop) } else { stop.clone() };
        let mut carried = Carried::default();
        // An append that is left in the middle of it is recognised by who carries the same again.
        let carrying = at_once.run_until_cancelled(self.carry(what, &stop, &mut carried)).await;
        carrying.with_context(|| {
            format!("stopped after {} events; run the same again to go on", count(carried.events))
        })??;
        let verifying = self.verify(&carried.contents, carried.reached);
        let mut transferred = at_once.run_until_cancelled(verifying).await.context(
            "stopped before it was verified; everything was carried, run the same again to verify it",
        )??;
        transferred.seconds = started.elapsed().as_secs_f64();
        Ok(transferred)
    }

    /// Carries to the end; a following is asked to `stop`, and then ends where its source does.
    async fn carry(
        &self,
        what: &'static str,
        stop: &CancellationToken,
        carried: &mut Carried,
    ) -> anyhow::Result<()> {
        let end = self.origin.end().await?;
        let patience = if self.follow { None } else { Some(PATIENCE) };
        let carrier = Carrier { target: self.target.clone(), order: self.order, patience };
        let mut reading = self.origin.read((!self.follow).then_some(end));
        let mut progress = Some(Progress::start(what, end));
        // Where a following ends that was stopped.
        let mut until = None;
        loop {
            if until.is_some_and(|until| carried.reached >= until) {
                return Ok(());
            }
            if carried.reached >= end && self.follow && progress.take().is_some() {
                note(format_args!(
                    "{} events carried, up to position {}; following, until Ctrl-C",
                    count(carried.events),
                    carried.reached
                ));
            }
            let next = tokio::select! {
                biased;
                () = stop.cancelled(), if self.follow && until.is_none() => {
                    // What is there by now still belongs to it.
                    until = Some(self.origin.end().await?);
                    continue;
                }
                next = reading.recv() => next,
            };
            let Some(batch) = next else { return Ok(()) };
            let Batch { records, at, .. } = gather(batch?, &mut reading)?;
            records.iter().for_each(|record| carried.contents.take(record));
            let events = records.len();
            carrier.carry(records).await?;
            carried.events += events as u64;
            carried.reached = at;
            if let Some(progress) = &mut progress {
                progress.done(events, at);
            }
        }
    }

    /// Reads the target, and what differs again from both sides.
    async fn verify(&self, source: &Contents, reached: u64) -> anyhow::Result<Transferred> {
        let there = Origin::Store { store: self.target.clone(), left_out: HashSet::new() };
        let end = there.end().await?;
        let mut target = Contents::default();
        each(&there, end, "verifying", |batch| batch.records.iter().for_each(|record| target.take(record)))
            .await?;
        let mut differing = source.differing(&target);
        if !differing.is_empty() {
            each(&self.origin, reached, "looking", |batch| {
                batch.records.iter().for_each(|record| differing.take_source(record));
            })
            .await?;
            each(&there, end, "looking", |batch| {
                batch.records.iter().for_each(|record| differing.take_target(record));
            })
            .await?;
        }
        let same = differing.is_empty();
        let disordered = same && self.order == Order::Strict && source.in_order() != target.in_order();
        Ok(Transferred {
            events: source.events,
            seconds: 0.0,
            order: if self.order == Order::Strict { "strict" } else { "perStream" },
            verified: same && !disordered,
            differences: differing.streams(),
            disordered,
            not_carried: NotCarried {
                fields: ["position", "created"],
                stream_metadata: self.metadata.clone(),
            },
        })
    }
}

/// Takes along what has been read by now.
fn gather(mut batch: Batch, reading: &mut Reading) -> anyhow::Result<Batch> {
    while batch.records.len() < AT_ONCE
        && let Ok(next) = reading.try_recv()
    {
        let next = next?;
        batch.records.extend(next.records);
        batch.at = next.at;
    }
    Ok(batch)
}

/// Reads to the end.
pub(crate) async fn each(
    origin: &Origin,
    end: u64,
    what: &'static str,
    mut take: impl FnMut(&Batch),
) -> anyhow::Result<()> {
    let mut progress = Progress::start(what, end);
    let mut reading = origin.read(Some(end));
    while let Some(batch) = reading.recv().await {
        let batch = batch?;
        take(&batch);
        progress.done(batch.records.len(), batch.at);
    }
    Ok(())
}

impl Transferred {
    pub(crate) fn outcome(&self) -> Outcome {
        if self.verified { Outcome::Done } else { Outcome::Found }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} events in {:.1} s\n", count(self.events), self.seconds);
        let metadata = &self.not_carried.stream_metadata;
        if !metadata.is_empty() {
            let names: Vec<&str> = metadata.iter().take(5).map(String::as_str).collect();
            let more = if metadata.len() > 5 { ", …" } else { "" };
            text.push_str(&format!("metadata of streams stay behind: {}{more}\n", names.join(", ")));
        }
        for Difference { stream, source_events, target_events } in &self.differences {
            text.push_str(&format!("{stream} differs: {source_events} events here, {target_events} there\n"));
        }
        text + match (self.verified, self.disordered) {
            (true, _) if self.order == "strict" => {
                "verified: the target holds the same events in the same order; positions and times of storing are its own"
            }
            (true, _) => {
                "verified: the target holds the same events; positions and times of storing are its own"
            }
            (false, true) => {
                "the target holds the same events in another order; carry to an empty store to have the order kept"
            }
            (false, false) => "the target does not hold the same events",
        }
    }
}
