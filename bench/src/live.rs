//! How long an event takes from its append to a follower who has caught up, at a steady pace.

use crate::appending;
use crate::cpu::Server;
use crate::load::Span;
use crate::round::{self, Meter, Round};
use anyhow::{Context as _, bail};
use event_store::{EventStore as _, Expected, Filter, Follow, Heard, Kurrent};
use futures_util::StreamExt as _;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The pause between two appends.
const PACE: Duration = Duration::from_millis(1);

/// Appends an event to a new stream every millisecond, whether or not the last one was answered, and hears them all.
/// The streams' names begin with `prefix`, as nobody else's do.
pub(crate) async fn measure(
    store: &Kurrent,
    prefix: &str,
    span: Span,
    servers: &[Server],
) -> anyhow::Result<Round> {
    let mut heard = store.follow(Follow::FromBeginning, Filter { stream_prefixes: vec![prefix.to_owned()] });
    while heard.next().await.context("following ended by itself")? != Heard::CaughtUp {}

    let mut latencies = round::latencies()?;
    let (mut sent, mut appending) = (HashMap::new(), JoinSet::new());
    let mut pace = tokio::time::interval(PACE);
    let meter = Meter::start(servers)?;
    let started = Instant::now();
    while started.elapsed() < span.measured || !sent.is_empty() {
        tokio::select! {
            _ = pace.tick(), if started.elapsed() < span.measured => {
                let stream = format!("{prefix}{}", latencies.len() + u64::try_from(sent.len())?);
                let event = appending::event(&stream, 0);
                sent.insert(event.id, Instant::now());
                let store = store.clone();
                appending.spawn(async move { store.append(&stream, Expected::NoStream, vec![event]).await });
            }
            next = heard.next() => match next.context("following ended by itself")? {
                Heard::Event(event) => {
                    let sent = sent.remove(&event.id).context("an event was heard that nobody sent")?;
                    round::record(&mut latencies, sent.elapsed());
                }
                Heard::CaughtUp => {}
                Heard::Interrupted(reason) => bail!("following was interrupted: {reason}"),
            },
        }
    }
    let round = meter.stop(latencies.len(), Some(latencies))?;
    while let Some(appended) = appending.join_next().await {
        appended??;
    }
    Ok(round)
}
