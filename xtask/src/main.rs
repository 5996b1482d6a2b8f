//! House rules and campaigns as programs: `cargo xtask <command>`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks there")]

mod campaign;
mod dependency_rules;
mod house_rules;
mod metrics_page;
mod problem_kinds;
mod topology;

use anyhow::Context as _;
use clap::Parser;
use std::process::ExitCode;

/// Checks that the workspace keeps its own rules, and tries what it should survive.
#[derive(Parser)]
enum Task {
    /// Dependencies between our crates point down only.
    DependencyRules,
    /// Files are short, code is safe, and nothing is left unfinished.
    HouseRules,
    /// Tries a fault many times; without an id, lists the faults.
    Campaign(campaign::Campaign),
    /// The production topology on one machine: sets up what is missing, builds, and starts it; `--help` tells more.
    Topology(topology::Topology),
}

fn main() -> ExitCode {
    match run(&Task::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
fn run(task: &Task) -> anyhow::Result<bool> {
    let metadata =
        cargo_metadata::MetadataCommand::new().no_deps().exec().context("reading the workspace")?;
    let root = metadata.workspace_root.as_std_path();
    let broken = match task {
        Task::DependencyRules => dependency_rules::check(&dependency_rules::arrows(&metadata)),
        Task::HouseRules => {
            [house_rules::check(root)?, metrics_page::check(root)?, problem_kinds::check(root)?].concat()
        }
        Task::Campaign(campaign) => return campaign::run(campaign, &metadata),
        Task::Topology(topology) => return topology::run(topology, &metadata),
    };
    for rule in &broken {
        eprintln!("{rule}");
    }
    Ok(broken.is_empty())
}
