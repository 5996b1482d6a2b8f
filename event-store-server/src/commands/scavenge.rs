//! `event-store-server scavenge`.

use crate::settings::Settings;
use anyhow::Context as _;
use clap::Args;
use event_store_server::maintenance;
use std::io::Write as _;

/// What to reclaim is said by the metadata of the streams.
#[derive(Args, Debug)]
pub(crate) struct Scavenge {}

impl Scavenge {
    pub(super) fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let scavenged = maintenance::scavenge(settings.data()?)?;
        writeln!(
            std::io::stdout(),
            "{} events were reclaimed, {} are left; the database went from {} to {} bytes",
            scavenged.reclaimed,
            scavenged.left,
            scavenged.bytes_before,
            scavenged.bytes_after
        )
        .context("standard output cannot be written")
    }
}
