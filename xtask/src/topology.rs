//! `cargo xtask topology`: hands over to `bin/topology`, which sets up what is missing, builds, and starts the crate `topology`.

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
    let program = metadata.workspace_root.join("bin/topology");
    let error = Command::new(&program).args(&topology.arguments).exec();
    Err(error).with_context(|| format!("starting {program}"))
}
