//! House rules as programs: `cargo xtask <rule>`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks there")]

mod dependency_rules;
mod house_rules;
mod metrics_page;

use anyhow::Context as _;
use clap::Parser;
use std::process::ExitCode;

/// Checks that the workspace keeps its own rules.
#[derive(Parser)]
enum Rule {
    /// Dependencies between our crates point down only.
    DependencyRules,
    /// Files are short, code is safe, and nothing is left unfinished.
    HouseRules,
}

fn main() -> ExitCode {
    match broken(&Rule::parse()) {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            for rule in broken {
                eprintln!("{rule}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The rules that are broken, one line each.
fn broken(rule: &Rule) -> anyhow::Result<Vec<String>> {
    let metadata =
        cargo_metadata::MetadataCommand::new().no_deps().exec().context("reading the workspace")?;
    match rule {
        Rule::DependencyRules => Ok(dependency_rules::check(&dependency_rules::arrows(&metadata))),
        Rule::HouseRules => {
            let root = metadata.workspace_root.as_std_path();
            let mut broken = house_rules::check(root)?;
            broken.extend(metrics_page::check(root)?);
            Ok(broken)
        }
    }
}
