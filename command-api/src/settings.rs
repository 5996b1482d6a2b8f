//! How the command side is configured.

use domain::book::{BookName, BookNameError};
use std::fmt;

/// A name, or none: what is set to nothing, as compose does for want of a value, is not set.
type NameIfAny = Option<BookName>;

fn name_if_any(text: &str) -> Result<NameIfAny, BookNameError> {
    match text.parse::<BookName>() {
        Err(BookNameError::Empty) => Ok(None),
        read => read.map(Some),
    }
}

/// The settings of the command side; each is a flag or an environment variable, and the flag wins.
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

    /// What a new book is called if its first command does not say.
    #[arg(long, env = "NAME", value_parser = name_if_any, default_value = "", hide_default_value = true)]
    pub name: NameIfAny,

    /// How long a command may wait for the event store, in milliseconds, 19000 at most; then the answer is 503.
    // With the ten seconds of its body a request ends before the thirty of the edge, which does not know what was sent.
    #[arg(long, env = "STORE_TIMEOUT_MS", value_name = "MS", default_value_t = 777,
          value_parser = clap::value_parser!(u64).range(1..=19_000))]
    pub store_timeout_ms: u64,

    /// How much memory recently used books may take, in MiB.
    #[arg(long, env = "BOOK_CACHE_MIB", value_name = "MIB", default_value_t = 64)]
    pub book_cache_mib: u64,
}

/// The store's address may carry a password, so it is not shown.
impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("name", &self.name)
            .field("store_timeout_ms", &self.store_timeout_ms)
            .field("book_cache_mib", &self.book_cache_mib)
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

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        Args::command().debug_assert();
        let args = Args::parse_from(["x", "--event-store-url", "esdb://admin:changeit@db:2113"]);
        assert!(!format!("{:?}", args.settings).contains("changeit"));
    }

    #[test]
    fn a_name_that_is_set_to_nothing_is_none() {
        let name = |flags: &[&str]| {
            let args = Args::try_parse_from(["x"].iter().chain(flags));
            args.ok().map(|args| args.settings.name.map(|name| name.as_str().to_owned()))
        };
        assert_eq!(name(&["--name", ""]), Some(None));
        assert_eq!(name(&["--name=  "]), Some(None));
        assert_eq!(name(&["--name", "모모"]), Some(Some("모모".to_owned())));
        assert_eq!(name(&["--name", "Mo\nmo"]), None);
    }

    #[test]
    fn a_timeout_that_no_request_could_live_to_see_is_refused() {
        let takes = |ms: &str| Args::try_parse_from(["x", "--store-timeout-ms", ms]).is_ok();
        assert_eq!(["0", "1", "19000", "19001", "60000"].map(takes), [false, true, true, false, false]);
    }
}
