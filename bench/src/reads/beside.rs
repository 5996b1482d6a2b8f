//! What readers take from commands: so many commands a second alone, and while others read as fast as they can.

use super::{CALLERS, books, pages, readers};
use crate::Plan;
use crate::commands::{BOOKS, warehouse};
use crate::cpu::Server;
use crate::http::{Asking, Question};
use crate::load::{Call, Span, closed_loop};
use crate::random::Random;
use crate::report::Report;
use crate::round::{self, Latencies, Meter, Round};
use crate::system::System;
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many commands are due in a second.
const PER_SECOND: u32 = 5_000;

const ALONE: &str = "commands alone";

pub(super) async fn measure(report: &mut Report, plan: Plan, system: &System) -> anyhow::Result<()> {
    let beside = [
        ("commands beside one book", "one book, beside", system.query_api, books()?),
        ("commands beside a page", "a page of 100, beside", system.admin, pages()?),
    ];
    let servers = [system.server()];
    for _ in 0..plan.rounds {
        let commands = librarians(system).await?;
        report.add(ALONE, CALLERS, due(commands, plan.span, &servers).await?);
        for (what, reads, addr, questions) in &beside {
            let (commands, readers) = (librarians(system).await?, readers(*addr, questions).await?);
            // Processor time cannot be told apart here, so it is that of both for each command.
            let (commands, read) =
                tokio::try_join!(due(commands, plan.span, &servers), closed_loop(readers, plan.span, &[]),)?;
            report.add(what, CALLERS, commands);
            report.add(reads, CALLERS, read);
        }
        system.settle().await?;
    }
    for (what, ..) in beside {
        report.compare((what, CALLERS), (ALONE, CALLERS));
    }
    Ok(())
}

/// Callers that warehouse a copy of some book each time, on a connection each.
async fn librarians(
    system: &System,
) -> anyhow::Result<Vec<Asking<impl FnMut() -> Question + Send + 'static>>> {
    let commands: Arc<[Question]> = (1..=BOOKS).map(warehouse).collect::<anyhow::Result<_>>()?;
    try_join_all((0..CALLERS).map(|caller| {
        let (commands, mut random) = (commands.clone(), Random::seeded(caller));
        Asking::connect(system.command_api, move || commands[random.below(BOOKS)].clone())
    }))
    .await
}

/// Lets the callers call [`PER_SECOND`] times a second for the span, as far as they come to it: each waits for its own
/// answer. What is answered later than the span is lost, and a call takes from when it was due.
async fn due<C: Call>(callers: Vec<C>, span: Span, servers: &[Server]) -> anyhow::Result<Round> {
    let begin = Instant::now();
    let (from, until) = (begin + span.warm_up, begin + span.warm_up + span.measured);
    let between = Duration::from_secs(1) / PER_SECOND;
    let period = between * u32::try_from(callers.len())?;
    let mut calling = JoinSet::new();
    for (caller, place) in callers.into_iter().zip(0..) {
        calling.spawn(call_when_due(caller, begin + between * place, period, (from, until)));
    }
    tokio::time::sleep_until(from).await;
    let meter = Meter::start(servers)?;
    tokio::time::sleep_until(until).await;
    let mut round = meter.stop(0, None)?;

    let mut latencies = round::latencies()?;
    while let Some(called) = calling.join_next().await {
        latencies.add(called??)?;
    }
    round.count = latencies.len();
    round.elapsed = span.measured;
    round.latencies = Some(latencies);
    Ok(round)
}

async fn call_when_due<C: Call>(
    mut caller: C,
    mut due: Instant,
    period: Duration,
    (from, until): (Instant, Instant),
) -> anyhow::Result<Latencies> {
    let mut latencies = round::latencies()?;
    loop {
        tokio::time::sleep_until(due).await;
        caller.call().await?;
        let ended = Instant::now();
        if ended >= until {
            return Ok(latencies);
        }
        if ended >= from {
            round::record(&mut latencies, ended - due);
        }
        due += period;
    }
}
