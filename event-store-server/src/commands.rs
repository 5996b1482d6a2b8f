//! What the program does beside serving. Each has its own file; this one lists them.

mod backup;
mod check;
mod hash_password;
mod restore;
mod scavenge;

use crate::settings::Settings;
use clap::Subcommand;

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copies the store to one file, while the server runs or not.
    Backup(backup::Backup),
    /// Makes a data directory of a backup.
    Restore(restore::Restore),
    /// Reads every event and verifies checksums, revisions and positions, while the server runs or not.
    Check(check::Check),
    /// Reclaims the space of truncated and deleted events; the server has to be stopped.
    Scavenge(scavenge::Scavenge),
    /// Reads a password from standard input and prints what the users file holds for it.
    HashPassword(hash_password::HashPassword),
}

impl Command {
    pub(crate) fn run(self, settings: &Settings) -> anyhow::Result<()> {
        match self {
            Self::Backup(backup) => backup.run(settings),
            Self::Restore(restore) => restore.run(settings),
            Self::Check(check) => check.run(settings),
            Self::Scavenge(scavenge) => scavenge.run(settings),
            Self::HashPassword(hash) => hash.run(),
        }
    }
}
