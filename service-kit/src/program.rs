//! The frame of every service that runs as a program of its own: logging, signals, and one line for whatever ends it.

use crate::{shutdown, telemetry};
use anyhow::Context as _;
use clap::Parser;
use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Runs `work` with the arguments of this process, until it ends; the token is cancelled by Ctrl-C or SIGTERM. Wrong
/// arguments end the process with exit code 2, and a failure with 1; either is told on standard error.
pub async fn run<A: Parser, W>(work: impl FnOnce(A, CancellationToken) -> W) -> ExitCode
where
    W: Future<Output = anyhow::Result<()>>,
{
    let arguments = A::parse();
    telemetry::init();
    let running = async {
        let shutdown = shutdown::on_signal().context("the signals to stop cannot be watched")?;
        work(arguments, shutdown).await
    };
    exit_code(running.await)
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

/// Tells on standard output where `service` listens: programs that start it read the address from there.
///
/// # Errors
/// When standard output cannot be written.
pub fn announce(service: &str, address: impl Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{service} listening on {address}")
        .context("standard output cannot be written")
}
