//! `event-store-server hash-password`.

use anyhow::Context as _;
use clap::Args;
use event_store_server::hash_password;
use std::io::Write as _;

/// Whose password it is.
#[derive(Args, Debug)]
pub(crate) struct HashPassword {
    /// The user's name.
    #[arg(long, value_name = "NAME")]
    user: String,
}

impl HashPassword {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut password = String::new();
        std::io::stdin()
            .read_line(&mut password)
            .context("the password cannot be read from standard input")?;
        let line = hash_password(&self.user, password.trim_end_matches(['\r', '\n']))?;
        writeln!(std::io::stdout(), "{line}").context("standard output cannot be written")
    }
}
