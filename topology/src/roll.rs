//! `roll`: restarts every service of a running topology, one by one, under load, and says what that cost.

use crate::book::{self, State};
use crate::parts::REPLICAS;
use crate::siege::Load;
use crate::site::Site;
use crate::tell::tell;
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// How long a part may take from being told to stop until its successor is ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(100);

/// Restart every service one by one.
#[derive(clap::Args)]
pub(crate) struct Roll {
    #[command(flatten)]
    site: Site,

    #[command(flatten)]
    load: Load,
}

/// Restarts them; an error if one does not come back, or if siege saw a request fail.
pub(crate) async fn run(roll: Roll) -> anyhow::Result<()> {
    let siege = roll.load.begin(&roll.site).await?;
    for name in REPLICAS {
        let started = Instant::now();
        restart(&roll.site, name).await?;
        tell(&format!("{name:<15} restarted in {:.1} s", started.elapsed().as_secs_f64()));
    }
    if let Some(siege) = siege {
        tell(&siege.raise().await?);
    }
    Ok(())
}

async fn restart(site: &Site, name: &str) -> anyhow::Result<()> {
    let before = book::entry(site, name)?.pid.with_context(|| format!("{name} does not run"))?;
    let pid = Pid::from_raw(before.cast_signed()).context("the process id is none")?;
    kill_process(pid, Signal::TERM).with_context(|| format!("{name} cannot be told to stop"))?;
    let started = Instant::now();
    loop {
        let now = book::entry(site, name)?;
        if now.state == State::Ready && now.pid.is_some_and(|pid| pid != before) {
            return Ok(());
        }
        anyhow::ensure!(started.elapsed() < PATIENCE, "{name} did not come back: {now:?}");
        tokio::time::sleep(PERIOD).await;
    }
}
