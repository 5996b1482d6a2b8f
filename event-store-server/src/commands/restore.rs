//! `event-store-server restore`.

use crate::settings::Settings;
use anyhow::Context as _;
use clap::Args;
use event_store_server::maintenance;
use std::io::Write as _;
use std::path::PathBuf;

/// Where the backup is.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The backup; the data directory must not hold a store yet.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

impl Restore {
    pub(super) fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let data = settings.data()?;
        let events = maintenance::restore(&self.from, data)?;
        writeln!(std::io::stdout(), "{} holds {events} events, all of them verified", data.display())
            .context("standard output cannot be written")
    }
}
