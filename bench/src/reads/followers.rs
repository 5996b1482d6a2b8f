//! Many clients that follow what changes: how long a change takes to all of them, and the memory that they cost.

use crate::Plan;
use crate::commands::{BOOKS, warehouse};
use crate::http::{Connection, Following, Question};
use crate::memory::peak_mib;
use crate::random::Random;
use crate::report::Report;
use crate::round::{self, Meter};
use crate::system::{Acknowledged, System};
use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The pause between two changes.
const PAUSE: Duration = Duration::from_millis(200);

/// How many come at once.
const AT_ONCE: usize = 256;

/// Longer than a change may take to the slowest.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(
    report: &mut Report,
    plan: Plan,
    system: &System,
    followers: usize,
) -> anyhow::Result<()> {
    let alone = peak_mib(system.server().pid)?;
    let changes = Question::get("/books/changes")?;
    let listeners: Vec<Following> = futures_util::stream::iter(0..followers)
        .map(|_| async {
            let mut following = Connection::open(system.query_api).await?.follow(&changes).await?;
            // It says where it begins.
            following.next().await?;
            anyhow::Ok(following)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
        .with_context(|| {
            format!(
                "{followers} clients were not let in; `ulimit -n` says how many files one process may have"
            )
        })?;

    let (sender, last) = watch::channel(None);
    let mut listening = JoinSet::new();
    for listener in listeners {
        listening.spawn(listen(listener, last.clone()));
    }
    let meter = Meter::start(&[system.server()])?;
    let mut librarian = Connection::open(system.command_api).await?;
    let (mut random, mut sent) = (Random::seeded(0), BTreeMap::new());
    let mut ticks = tokio::time::interval(PAUSE);
    let until = Instant::now() + plan.span.measured * plan.rounds;
    while Instant::now() < until {
        ticks.tick().await;
        let began = Instant::now();
        let booked: Acknowledged = librarian.ask_json(&warehouse(1 + random.below(BOOKS))?).await?;
        sent.insert(booked.position.parse::<u64>()?, began);
    }
    sender.send_replace(sent.last_key_value().map(|(position, _)| *position));
    let mut latencies = round::latencies()?;
    while let Some(heard) = tokio::time::timeout(PATIENCE, listening.join_next()).await? {
        let heard = heard??;
        for (position, began) in &sent {
            let (_, at) = heard
                .iter()
                .find(|(at, _)| at >= position)
                .with_context(|| format!("the change at {position} was not told to all"))?;
            round::record(&mut latencies, at.saturating_duration_since(*began));
        }
    }
    let round = meter.stop(latencies.len(), Some(latencies))?;
    report.add("change to follower", followers, round);
    report.memory("bookstock, before anybody followed", alone);
    report.memory("bookstock, with all followers", peak_mib(system.server().pid)?);
    Ok(())
}

/// Takes the messages until that of the last change, which is known when it has been sent; answers the position of each,
/// and when it came.
async fn listen(
    mut listener: Following,
    mut last: watch::Receiver<Option<u64>>,
) -> anyhow::Result<Vec<(u64, Instant)>> {
    let mut heard: Vec<(u64, Instant)> = Vec::new();
    while last.borrow().is_none_or(|last| heard.last().is_none_or(|(at, _)| *at < last)) {
        tokio::select! {
            position = listener.next() => heard.push((position?, Instant::now())),
            changed = last.changed() => changed?,
        }
    }
    Ok(heard)
}
