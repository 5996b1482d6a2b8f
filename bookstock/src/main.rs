//! The command line of bookstock. This file only lists.
#![forbid(unsafe_code)]

use bookstock::{receive, up};
use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;

/// A library's book stock, event-sourced.
#[derive(Parser)]
#[command(version)]
struct Bookstock {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(Box<up::Up>),
    Receive(receive::Receive),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Bookstock::parse().command {
        Command::Up(args) => up::run(*args).await,
        Command::Receive(args) => receive::run(args).await,
    };
    outcome.unwrap_or_else(|error| {
        // Where standard error is gone, the exit code still tells.
        let _ = writeln!(std::io::stderr(), "bookstock: {error:#}");
        ExitCode::FAILURE
    })
}
