//! `replay completions`: what a shell needs to complete this command.

use super::Replay;
use crate::tell::{self, Outcome};
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// Which shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Replay::command(), "replay", &mut script);
        tell::line(String::from_utf8(script)?.trim_end())?;
        Ok(Outcome::Done)
    }
}
