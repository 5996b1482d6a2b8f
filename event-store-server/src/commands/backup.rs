//! `event-store-server backup`.

use crate::settings::Settings;
use anyhow::Context as _;
use clap::Args;
use event_store_server::maintenance;
use std::io::Write as _;
use std::path::PathBuf;

/// Where the backup goes.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The file to make; it must not exist yet.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

impl Backup {
    pub(super) fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let Self { to } = self;
        let events = maintenance::backup(settings.data()?, &to)?;
        writeln!(std::io::stdout(), "{} holds {events} events, all of them verified", to.display())
            .context("standard output cannot be written")
    }
}
