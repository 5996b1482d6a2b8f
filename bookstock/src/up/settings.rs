//! The settings of the services, as the services themselves read them.

use anyhow::anyhow;
use clap::{Args, Command};

/// Settings from the environment; the flags given here win, as they do for a service that runs alone.
pub(super) fn of<S: Args>(flags: &[(&str, &str)]) -> anyhow::Result<S> {
    let command = S::augment_args(Command::new("bookstock").no_binary_name(true));
    let arguments = flags.iter().map(|(flag, value)| format!("--{flag}={value}"));
    let parsed = command.try_get_matches_from(arguments).and_then(|matches| S::from_arg_matches(&matches));
    // Only the first line speaks of the setting; the others speak of a command line that nobody typed.
    parsed.map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        anyhow!("a setting in the environment is wrong: {}", line.trim_start_matches("error: "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Args)]
    struct Settings {
        #[arg(long, env = "BOOKSTOCK_TEST_ADDRESS_THAT_NOBODY_SETS")]
        address: String,
        #[arg(long, default_value = "16")]
        pool_size: u8,
    }

    #[test]
    fn flags_are_given_by_name_and_the_rest_has_its_defaults() {
        let settings: Settings = of(&[("address", "postgres://x?a=b")]).unwrap();
        assert_eq!((settings.address.as_str(), settings.pool_size), ("postgres://x?a=b", 16));
    }

    #[test]
    fn a_wrong_setting_is_told_in_one_line() {
        let error = of::<Settings>(&[("address", "x"), ("pool-size", "many")]).err().unwrap().to_string();
        assert!(error.contains("many") && error.contains("--pool-size"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}
