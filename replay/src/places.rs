//! Where the two stores are: as the environment says, or as a running bookstock says.

use crate::tell::WrongUse;
use anyhow::Context as _;
use event_store::{Kurrent, Options};
use read_model::Database;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nobody waits for an answer here; a busy store may take its time.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The places, as flags or environment variables; the flag wins.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Where the stores are")]
pub(crate) struct Places {
    /// The event store, as an EventStoreDB connection string [default: esdb://127.0.0.1:2113?tls=false].
    #[arg(long, global = true, env = "EVENT_STORE_URL", value_name = "URL", hide_env_values = true)]
    event_store_url: Option<String>,

    /// The database of the read models, as postgres://user:password@host:5432/name.
    #[arg(long, global = true, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,

    /// The data directory of a running bookstock, which names both; it wins over the environment.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// What `bookstock.json` says of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    event_store: String,
    database: String,
}

impl Places {
    /// The event store.
    pub(crate) fn store(&self) -> anyhow::Result<Kurrent> {
        let url = match (&self.data_dir, &self.event_store_url) {
            (Some(dir), _) => published(dir)?.event_store,
            (None, Some(url)) => url.clone(),
            (None, None) => "esdb://127.0.0.1:2113?tls=false".to_owned(),
        };
        connect(&url).context(WrongUse).context("EVENT_STORE_URL")
    }

    /// The address of the database of the read models.
    pub(crate) fn database_url(&self) -> anyhow::Result<String> {
        match (&self.data_dir, &self.database_url) {
            (Some(dir), _) => Ok(published(dir)?.database),
            (None, Some(url)) => Ok(url.clone()),
            (None, None) => Err(anyhow::Error::new(WrongUse).context(
                "no database is named; set DATABASE_URL, or name a running bookstock with --data-dir",
            )),
        }
    }

    /// The database of the read models.
    pub(crate) fn database(&self) -> anyhow::Result<Database> {
        self.database_url()?.parse().context(WrongUse).context("DATABASE_URL")
    }

    /// The process of the private PostgreSQL of `--data-dir`, if it has one that runs.
    pub(crate) fn postmaster(&self) -> Option<u32> {
        let written =
            std::fs::read_to_string(self.data_dir.as_ref()?.join("postgres/postmaster.pid")).ok()?;
        written.lines().next()?.trim().parse().ok()
    }

    /// Whether a database is named at all.
    pub(crate) fn names_a_database(&self) -> bool {
        self.data_dir.is_some() || self.database_url.is_some()
    }
}

/// Prepares for talking to the event store at `url`.
pub(crate) fn connect(url: &str) -> anyhow::Result<Kurrent> {
    Ok(Kurrent::connect(url, Options { call_timeout: CALL_TIMEOUT, ..Options::default() })?)
}

/// What a bookstock that is ready has published, or one that may wait for just this tool has announced.
fn published(dir: &Path) -> anyhow::Result<Published> {
    let file = dir.join("bookstock.json");
    let text = std::fs::read(&file).or_else(|_| std::fs::read(dir.join("bookstock.starting.json")));
    let text = text.with_context(|| {
        format!("{} cannot be read; is bookstock running on that directory?", file.display())
    })?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not what bookstock writes", file.display()))
}

/// The addresses may carry passwords, so they are not shown.
impl fmt::Debug for Places {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Places").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}
