//! How the query side is configured.

use clap::builder::TypedValueParser as _;
use std::fmt;

/// The settings of the query side; each is a flag or an environment variable, and the flag wins.
#[derive(Clone, clap::Args)]
pub struct Settings {
    /// The database of the read models, as postgres://user:password@host:5432/name.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: String,

    /// Where to read instead, if that is another address: a replica, or a user who may only read.
    #[arg(long, env = "READ_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub read_database_url: Option<String>,

    /// How many connections to the database there are at most.
    #[arg(long, env = "POOL_SIZE", value_name = "COUNT", default_value = "16",
          value_parser = clap::value_parser!(u16).range(1..=1_000).map(usize::from))]
    pub pool_size: usize,

    /// Up to how many books all of them are held in memory, for about 1 KB each; beyond that, those that changed last.
    #[arg(long, env = "MEMORY_BOOKS", value_name = "COUNT", default_value_t = 200_000)]
    pub memory_books: usize,
}

impl Settings {
    /// The database to read.
    pub(crate) fn url(&self) -> &str {
        self.read_database_url.as_deref().unwrap_or(&self.database_url)
    }
}

/// The addresses may carry passwords, so they are not shown.
impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("pool_size", &self.pool_size)
            .field("memory_books", &self.memory_books)
            .finish_non_exhaustive()
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

    fn settings(flags: &[&str]) -> Settings {
        Args::parse_from([&["x"], flags].concat()).settings
    }

    #[test]
    fn the_address_to_read_from_wins() {
        let both = ["--database-url", "postgres://main", "--read-database-url", "postgres://replica"];
        let both = settings(&both);
        assert_eq!(both.url(), "postgres://replica");
        assert_eq!(Settings { read_database_url: None, ..both }.url(), "postgres://main");
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        Args::command().debug_assert();
        let url = "postgres://bookstock:changeit@db/books";
        let settings = settings(&["--database-url", url, "--read-database-url", url]);
        assert!(!format!("{settings:?}").contains("changeit"));
    }

    #[test]
    fn a_pool_without_connections_is_refused() {
        assert!(
            Args::try_parse_from(["x", "--database-url", "postgres://main", "--pool-size", "0"]).is_err()
        );
    }
}
