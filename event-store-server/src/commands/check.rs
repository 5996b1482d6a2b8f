//! `event-store-server check`.

use crate::settings::Settings;
use anyhow::Context as _;
use clap::Args;
use event_store_server::maintenance;
use std::io::Write as _;

/// What to check is said by `--data`.
#[derive(Args, Debug)]
pub(crate) struct Check {}

impl Check {
    pub(super) fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let data = settings.data()?;
        let mut stdout = std::io::stdout();
        let report = maintenance::check(data, &mut |progress| {
            let _ = writeln!(std::io::stderr(), "{progress}");
        })?;
        for damage in &report.damage {
            writeln!(stdout, "{damage}").context("standard output cannot be written")?;
        }
        anyhow::ensure!(
            report.damage.is_empty(),
            "{} is damaged in {} places, told above; restore it from a backup",
            data.display(),
            report.damage.len()
        );
        writeln!(stdout, "{} events in {} streams, nothing is damaged", report.events, report.streams)
            .context("standard output cannot be written")
    }
}
