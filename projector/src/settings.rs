//! How the projector is configured.

use clap::builder::TypedValueParser as _;
use std::fmt;

/// The settings of the projector; each is a flag or an environment variable, and the flag wins.
#[derive(Clone, clap::Args)]
pub struct Settings {
    /// The event store, as an EventStoreDB connection string.
    #[arg(
        long,
        env = "EVENT_STORE_URL",
        value_name = "URL",
        default_value = "esdb://127.0.0.1:2113?tls=false",
        hide_env_values = true
    )]
    pub event_store_url: String,

    /// The database of the read models, as postgres://user:password@host:5432/name.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: String,

    /// How many events one transaction takes at most. Batches are smaller whenever the event store has no more.
    #[arg(long, env = "BATCH_EVENTS", value_name = "COUNT", default_value = "5000",
          value_parser = clap::value_parser!(u32).range(1..=100_000).map(|count| count as usize))]
    pub batch_events: usize,

    /// Under which name the lease is held; one of its own if left out. A projector takes a lease of its own name at once,
    /// so this is only for one that is the only one on its database.
    #[arg(long, env = "LEASE_OWNER", value_name = "NAME")]
    pub lease_owner: Option<String>,
}

/// The addresses may carry passwords, so they are not shown.
impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings").field("batch_events", &self.batch_events).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser};

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        Args::command().debug_assert();
        let (store, database) = ("esdb://admin:changeit@db:2113", "postgres://bookstock:changeit@db/books");
        let args = Args::parse_from(["x", "--event-store-url", store, "--database-url", database]);
        assert!(!format!("{:?}", args.settings).contains("changeit"));
    }

    #[test]
    fn batches_of_nothing_are_refused() {
        let nothing = ["x", "--database-url", "postgres://main", "--batch-events", "0"];
        assert!(Args::try_parse_from(nothing).is_err());
    }
}
