//! The system at a steady pace of commands: how long an event takes to its view, and what commands and queries take while
//! the read models are rebuilt.

use crate::commands::{BOOKS, librarians};
use crate::http::{Asking, Question};
use crate::load::{Span, paced};
use crate::memory::peak_mib;
use crate::process::{Process, built};
use crate::random::Random;
use crate::report::Report;
use crate::system::System;
use crate::{Plan, event_to_view, history};
use anyhow::Context as _;
use event_store::Kurrent;
use futures_util::future::try_join_all;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

const EVENT_TO_VIEW: &str = "event to view, at 5,000 commands/s";
const BUSY: &str = "commands, 5,000/s";
const COMMANDS: &str = "commands, 2,000/s";
const QUERIES: &str = "queries, 2,000/s";
const COMMANDS_BESIDE: &str = "commands, 2,000/s, beside a rebuild";
const QUERIES_BESIDE: &str = "queries, 2,000/s, beside a rebuild";

/// The connections on which commands or queries are asked.
const CALLERS: usize = 32;

/// All services in one process.
const BOOKSTOCK: &str = "bookstock, all services in it";

/// The program that rebuilds.
const REPLAY: &str = "replay";

/// How much there is to rebuild.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Size {
    /// How many books of ten events there are before.
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    books: u64,
}

pub(crate) async fn run(plan: Plan, size: Size, dir: &Path) -> anyhow::Result<Report> {
    let mut report = plan.report("busy")?;
    let system = System::start(dir).await?;
    let store = Kurrent::connect(&system.event_store, history::patient())?;
    crate::progress(format_args!("writing {} events", size.books * 10));
    history::write(&store, size.books, 10).await?;
    system.settle().await?;
    for _ in 0..plan.rounds {
        let (busy, view) = tokio::try_join!(
            async {
                paced(librarians(system.command_api, 2 * CALLERS, BOOKS).await?, 5_000, plan.span).await
            },
            event_to_view::measure(&system, plan.span),
        )?;
        report.add(BUSY, 2 * CALLERS, busy);
        report.add(EVENT_TO_VIEW, 1, view);
        system.settle().await?;
        both(&mut report, (COMMANDS, QUERIES), &system, plan.span).await?;
        system.settle().await?;
        tokio::select! {
            rebuilt = rebuild_on_and_on(&system, dir) => match rebuilt? {},
            done = both(&mut report, (COMMANDS_BESIDE, QUERIES_BESIDE), &system, plan.span) => done?,
        }
        system.settle().await?;
    }
    // The projector is a part of it.
    report.memory(BOOKSTOCK, peak_mib(system.server().pid)?);
    system.stop().await?;
    Ok(report)
}

/// Commands and queries at once, at 2,000 a second each.
async fn both(
    report: &mut Report,
    (commands, queries): (&'static str, &'static str),
    system: &System,
    span: Span,
) -> anyhow::Result<()> {
    let (booked, answered) = tokio::try_join!(
        async { paced(librarians(system.command_api, CALLERS, BOOKS).await?, 2_000, span).await },
        async { paced(readers(system.query_api).await?, 2_000, span).await },
    )?;
    report.add(commands, CALLERS, booked);
    report.add(queries, CALLERS, answered);
    Ok(())
}

/// Callers that ask for some book each time, on a connection each.
async fn readers(addr: SocketAddr) -> anyhow::Result<Vec<Asking<impl FnMut() -> Question + Send + 'static>>> {
    let questions: Arc<[Question]> =
        (1..=BOOKS).map(|book| Question::get(&format!("/books/{book}"))).collect::<anyhow::Result<_>>()?;
    try_join_all((0..CALLERS).map(|caller| {
        let (questions, mut random) = (questions.clone(), Random::seeded(caller));
        Asking::connect(addr, move || questions[random.below(BOOKS)].clone())
    }))
    .await
}

/// Builds the read models anew and drops them, again and again: each that stayed would be kept current, too.
async fn rebuild_on_and_on(system: &System, dir: &Path) -> anyhow::Result<Infallible> {
    let data = system.data.to_str().context("the data directory's name is not text")?;
    loop {
        let arguments = ["rebuild", "--dry-run", "--data-dir", data];
        let peak = Process::start(REPLAY, &built(REPLAY)?, arguments, dir)?.end().await?;
        crate::progress(format_args!("rebuilt, with at most {peak:.1} MiB of memory"));
    }
}
