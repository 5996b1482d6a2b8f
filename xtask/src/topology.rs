//! `cargo xtask topology`: builds the programs, and hands over to the one that runs them (the crate `topology`).

use anyhow::Context as _;
use cargo_metadata::Metadata;
use clap::Args;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What `topology` is told.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Topology {
    /// `up`, `roll`, `drill`, and their flags.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Becomes that program, so that signals reach it. Returns only if that cannot be.
pub(crate) fn run(topology: &Topology, metadata: &Metadata) -> anyhow::Result<bool> {
    crate::campaign::build_programs()?;
    let program = metadata.target_directory.join("release/topology");
    let error = Command::new(&program).args(&topology.arguments).exec();
    Err(error).with_context(|| format!("starting {program}"))
}
