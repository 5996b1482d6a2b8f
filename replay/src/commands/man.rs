//! `replay man`: the manual page, with all subcommands.

use super::Replay;
use crate::tell::{self, Outcome};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man as Page;

/// Print the manual page; `replay man | man -l -` shows it.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {}

impl Man {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        let mut command = Replay::command();
        command.build();
        let mut text = Vec::new();
        Page::new(command.clone()).render(&mut text)?;
        subcommands(&command, &mut text)?;
        tell::line(String::from_utf8(text)?.trim_end())?;
        Ok(Outcome::Done)
    }
}

/// Tells each subcommand, and theirs.
fn subcommands(command: &Command, text: &mut Vec<u8>) -> std::io::Result<()> {
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let page = Page::new(subcommand.clone());
        page.render_name_section(text)?;
        page.render_synopsis_section(text)?;
        page.render_options_section(text)?;
        subcommands(subcommand, text)?;
    }
    Ok(())
}
