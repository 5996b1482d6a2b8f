//! The command line. This file only lists.

mod as_of;
mod check;
mod completions;
mod copy;
mod explain;
mod export;
mod generations;
mod import;
mod man;
mod parked;
mod rebuild;
mod rollback;
mod show;
mod stats;
mod tail;
mod verify;

use crate::log;
use crate::places::Places;
use crate::tell::{Outcome, Tell};
use clap::{Parser, Subcommand};

/// Shows, proves, repairs and moves the events of bookstock and the read models made of them.
#[derive(Debug, Parser)]
#[command(
    name = "replay",
    version,
    after_help = "Exit codes: 0 done, 1 failed or something wrong was found, 2 wrong use."
)]
pub(crate) struct Replay {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    places: Places,

    /// Give the event store up when it says nothing for so long in the middle of its history.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = log::DEFAULT_PATIENCE_SECS,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    patience: u64,

    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Show),
    Tail(tail::Tail),
    Stats(stats::Stats),
    Explain(explain::Explain),
    AsOf(as_of::AsOf),
    Check(check::Check),
    Verify(verify::Verify),
    Rebuild(rebuild::Rebuild),
    Rollback(rollback::Rollback),
    Generations(generations::Generations),
    Parked(parked::Parked),
    Export(export::Export),
    Import(import::Import),
    Copy(copy::Copy),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Replay {
    /// Does what was asked for.
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let Self { command, places, patience, json } = self;
        log::be_patient(patience);
        let tell = Tell { json };
        match command {
            Command::Show(show) => show.run(&places, tell).await,
            Command::Tail(tail) => tail.run(&places, tell).await,
            Command::Stats(stats) => stats.run(&places, tell).await,
            Command::Explain(explain) => explain.run(&places, tell).await,
            Command::AsOf(as_of) => as_of.run(&places, tell).await,
            Command::Check(check) => check.run(&places, tell).await,
            Command::Verify(verify) => verify.run(&places, tell).await,
            Command::Rebuild(rebuild) => rebuild.run(&places, tell).await,
            Command::Rollback(rollback) => rollback.run(&places, tell).await,
            Command::Generations(generations) => generations.run(&places, tell).await,
            Command::Parked(parked) => parked.run(&places, tell).await,
            Command::Export(export) => export.run(&places, tell).await,
            Command::Import(import) => import.run(&places, tell).await,
            Command::Copy(copy) => copy.run(&places, tell).await,
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
        }
    }
}

/// A view, by its name.
fn view(name: &str) -> Result<String, String> {
    let names: Vec<&str> = projector::VIEWS.iter().map(|view| view.name()).collect();
    if names.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(format!("the views are {}", names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Replay::command().debug_assert();
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let store = "esdb://admin:changeit@db:2113";
        let database = "postgres://bookstock:changeit@db/books";
        let arguments = ["replay", "stats", "--event-store-url", store, "--database-url", database];
        let replay = Replay::try_parse_from(arguments).unwrap();
        assert!(!format!("{replay:?}").contains("changeit"));
    }
}
