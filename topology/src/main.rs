//! The production topology on one machine, from plain processes: `cargo xtask topology`. This file only lists.
//!
//! Two of each service, the real gateway, the real PostgreSQL and the real Prometheus; our event store server stands in
//! KurrentDB's place. It watches them as Kubernetes would: what ends is started again, what hangs is killed first, and what
//! never answers after its start, too.
#![forbid(unsafe_code)]

mod book;
mod drill;
mod part;
mod parts;
mod roll;
mod siege;
mod site;
mod tell;
mod tokens;
mod up;
mod watch;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The production topology on one machine, from plain processes.
#[derive(Parser)]
#[command(version)]
struct Topology {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Up),
    Roll(roll::Roll),
    Drill(drill::Drill),
}

// One thread: the system ends the parts when the thread that started them ends.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Topology::parse().command {
        Command::Up(args) => up::run(args).await,
        Command::Roll(args) => roll::run(args).await,
        Command::Drill(args) => drill::run(args).await,
    };
    service_kit::program::exit_code(outcome)
}
