//! The frame of every service that runs as a program of its own: logging, signals, and one line for whatever ends it.

use crate::{shutdown, telemetry, traces};
use anyhow::Context as _;
use clap::{Arg, Parser};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;
use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A request makes a hundred small allocations, many of them freed by another thread than the one that made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The flag for how long a process goes on after it was told to stop.
const SHUTDOWN_DELAY: &str = "shutdown-delay-ms";

/// The longest that a process may go on after it was told to stop, in milliseconds.
const LONGEST_DELAY_MS: u64 = 300_000;

/// Runs `work` with the arguments of this process, until it ends; the token is cancelled by Ctrl-C or SIGTERM. Wrong
/// arguments end the process with exit code 2, and a failure with 1; either is told on standard error.
pub async fn run<A: Parser, W>(work: impl FnOnce(A, CancellationToken) -> W) -> ExitCode
where
    W: Future<Output = anyhow::Result<()>>,
{
    let command = A::command().arg(shutdown_delay());
    let name = command.get_name().to_owned();
    let matches = command.get_matches();
    let arguments = A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let delay = Duration::from_millis(matches.get_one(SHUTDOWN_DELAY).copied().unwrap_or_default());
    telemetry::init();
    settle_in();
    let running = async {
        traces::start(&name)?;
        let shutdown = shutdown::on_signal(delay).context("the signals to stop cannot be watched")?;
        work(arguments, shutdown).await
    };
    let outcome = running.await;
    traces::stop().await;
    exit_code(outcome)
}

/// Arranges this process with its system. It may have as many files and connections open as it is allowed to: what it is
/// given at first is often 1,024, for the sake of old programs that cannot count further. And its memory comes in small pages:
/// of the large ones that the allocator asks for, a small service uses little and pays all.
pub fn settle_in() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it was");
    }
    if let Err(error) = disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "pages stay as large as the system likes");
    }
}

/// Every program has it, so it stands here and not in the arguments of each.
fn shutdown_delay() -> Arg {
    Arg::new(SHUTDOWN_DELAY)
        .long(SHUTDOWN_DELAY)
        .env("SHUTDOWN_DELAY_MS")
        .value_name("MS")
        .default_value("0")
        .value_parser(clap::value_parser!(u64).range(..=LONGEST_DELAY_MS))
        .help("How long to go on, not ready, after it was told to stop: as long as a gateway takes to notice")
}

/// The exit code of a program that ended so. A failure is told in one line on standard error.
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If even standard error is closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tells on standard output where `service` listens: programs that start it read the address from there. With `LOG_FORMAT=json`
/// that line is JSON, too.
///
/// # Errors
/// When standard output cannot be written.
pub fn announce(service: &str, address: impl Display) -> anyhow::Result<()> {
    let line = telemetry::line(&format!("{service} listening on {address}"));
    writeln!(std::io::stdout(), "{line}").context("standard output cannot be written")
}
