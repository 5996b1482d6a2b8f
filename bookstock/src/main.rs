//! The command line of bookstock. This file only lists.
#![forbid(unsafe_code)]

use anyhow::Context as _;
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

fn main() -> ExitCode {
    run(Bookstock::parse().command).unwrap_or_else(|error| {
        // Where standard error is gone, the exit code still tells.
        let _ = writeln!(std::io::stderr(), "bookstock: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = event_store_server::runtime().context("the threads cannot be started")?;
    runtime.block_on(async {
        match command {
            Command::Up(args) => up::run(*args).await,
            Command::Receive(args) => receive::run(args).await,
        }
    })
}
