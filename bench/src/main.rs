//! Measures the system against its limits in the same run; see `docs/benchmarks.md` for what each figure means.
//!
//! The system is the real release binaries, started as processes. A limit is the least program that could do the
//! same work, also a process of its own. Both are driven by the same closed loop on one thread of this process, in
//! turns, round by round. Absent on purpose: any figure that was not measured in this run.
#![forbid(unsafe_code)]

mod appending;
mod busy;
mod catch_up;
mod commands;
mod cpu;
mod event_to_view;
mod hand_over;
mod history;
mod http;
mod large_store;
mod limits;
mod lists;
mod live;
mod load;
mod memory;
mod open_circuit;
mod process;
mod random;
mod reads;
mod report;
mod round;
mod store;
mod system;
mod warm_books;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use load::Span;
use report::Report;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures the system against its limits in the same run.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    bench: Bench,

    /// How long each round measures, in seconds; a fifth of it comes before, as warm-up.
    #[arg(long, global = true, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// How often everything is measured, in turns. The table shows the median and the spread.
    #[arg(long, global = true, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Also write the report as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Where the data of the run goes, and so which disk is measured [default: the system's temporary directory].
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Durable commands over 1,000 books and on one, with everything on; lists; the time from an event to its view; memory.
    Commands,
    /// Queries: beside a bare route and beside commands, followers of what changes, and long lists.
    Reads(reads::Parts),
    /// The event store alone: appends and reading everything.
    Store,
    /// The event store with ten million events: its memory, its start, and what an append costs then.
    LargeStore(large_store::Size),
    /// A projector with an empty database and a long history.
    CatchUp(catch_up::Size),
    /// The time from an event to its view at 5,000 commands a second, and what a rebuild does to 2,000.
    Busy(busy::Size),
    /// The time from an event to its view when one projector stops and another takes over.
    HandOver,
    /// Serves one of the limits; started by the others.
    #[command(hide = true)]
    Limit(limits::Served),
}

/// How a bench is run.
#[derive(Clone, Copy, Debug)]
struct Plan {
    span: Span,
    rounds: u32,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(format_args!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(Args { bench, seconds, rounds, json, dir }: Args) -> anyhow::Result<()> {
    if let Bench::Limit(served) = bench {
        let many_threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return many_threads.block_on(served.serve());
    }
    // One thread: on a small machine a generator that spreads takes more from the measured than it gives.
    let one_thread = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = one_thread.block_on(async {
        let plan = Plan { span: Span::of(Duration::from_secs(seconds.into())), rounds };
        let parent = dir.unwrap_or_else(std::env::temp_dir);
        let data =
            tempfile::Builder::new().prefix("bookstock-bench-").tempdir_in(&parent).with_context(|| {
                format!("no directory can be made in {}; choose another with --dir", parent.display())
            })?;
        system::open_to_all(data.path())?;
        match bench {
            Bench::Commands => commands::run(plan, data.path()).await,
            Bench::Reads(parts) => reads::run(plan, parts, data.path()).await,
            Bench::Store => store::run(plan, data.path()).await,
            Bench::LargeStore(size) => large_store::run(plan, size, data.path()).await,
            Bench::CatchUp(size) => catch_up::run(plan, size, data.path()).await,
            Bench::Busy(size) => busy::run(plan, size, data.path()).await,
            Bench::HandOver => hand_over::run(plan, data.path()).await,
            Bench::Limit(_) => anyhow::bail!("a limit is served before this"),
        }
    })?;
    if let Some(file) = json {
        fs::write(&file, report.json()?).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    writeln!(std::io::stdout(), "{report}").context("standard output cannot be written")
}

/// Tells on standard error how far the run is.
fn progress(what: impl std::fmt::Display) {
    // Only a reader's comfort is lost when nobody listens.
    let _ = writeln!(std::io::stderr(), "{what}");
}

impl Plan {
    fn report(self, bench: &'static str) -> anyhow::Result<Report> {
        Report::new(bench, self)
    }
}
