//! The replay tool: shows, proves, repairs and moves the events and the read models made of them.
//!
//! One subcommand, one file in `commands/`; beside it what they share: where the stores are ([`places`]), hearing
//! the log ([`log`]), carrying it elsewhere ([`transfer`]), what people and programs are told ([`tell`], [`table`], [`progress`]). Absent on purpose: any fold
//! of its own (the views' and the domain's are what it runs), and any effect of replayed events but rows in tables.
#![forbid(unsafe_code)]

mod after;
mod build;
mod carry;
mod commands;
mod contents;
mod drift;
mod fold;
mod give_way;
mod gone;
mod log;
mod origin;
mod patience;
mod places;
mod progress;
mod record;
mod table;
mod tell;
mod transfer;
mod unfit;
mod waiting;

use clap::Parser as _;
use commands::Replay;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Replay::parse();
    service_kit::telemetry::init_for_a_command();
    // Before there are other threads, which take its place over.
    give_way::step_behind();
    run(arguments)
}

#[tokio::main]
async fn run(arguments: Replay) -> ExitCode {
    match arguments.run().await {
        Ok(outcome) => outcome.exit_code(),
        Err(error) => tell::failure(&error),
    }
}
