//! A fault that is tried again and again, each time a little differently: a few times in the test run, and as often as
//! one likes with `cargo xtask campaign <id> --runs N --seed S`. Both are the same test.
//!
//! A campaign is one file, `<crate>/tests/campaigns/<id>_<what it tries>.rs`; the command finds it by that name and tells
//! about it with its first line. Every run has a seed of its own, counted up from the first one, and a run that fails
//! says how to have exactly this run again.
#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::print_stderr, reason = "this is for tests: it fails and talks as tests do")]

pub use fastrand::Rng;
use std::fmt::Display;
use std::process::Command;
use std::str::FromStr;

/// The environment variable with the number of runs.
pub const RUNS: &str = "CAMPAIGN_RUNS";

/// The environment variable with the seed of the first run.
pub const SEED: &str = "CAMPAIGN_SEED";

/// The runs of the campaign `id`: `short` of them in the test run, with the same seeds each time; otherwise as many, and
/// from the seed on, as the command said.
///
/// # Panics
/// When the environment holds something that is not a number.
pub fn runs(id: &'static str, short: u64) -> impl Iterator<Item = Run> {
    let (runs, seed): (u64, u64) = (number(RUNS).unwrap_or(short), number(SEED).unwrap_or(1));
    (0..runs).map(move |run| {
        // Whoever watches a long campaign sees that it goes on.
        if run.is_power_of_two() || (run > 0 && run % 1_000 == 0) {
            eprintln!("campaign {id}: {run} of {runs} runs are done");
        }
        let seed = seed.wrapping_add(run);
        Run { id, seed, rng: Rng::with_seed(seed) }
    })
}

/// One run of a campaign. Whatever it varies, it takes from its own random numbers.
#[derive(Debug)]
pub struct Run {
    id: &'static str,
    /// What `rng` began with.
    pub seed: u64,
    /// The same numbers for the same seed.
    pub rng: Rng,
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { id, seed, .. } = self;
            let commit = commit();
            eprintln!(
                "campaign {id} failed at commit {commit}; once more: cargo xtask campaign {id} --runs 1 --seed {seed}"
            );
        }
    }
}

/// The commit that is checked out, and whether anything was changed since.
fn commit() -> String {
    let described =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).output();
    match described {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

fn number<T: FromStr<Err: Display>>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(error) => panic!("{variable}={text}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_the_same_seed_draws_the_same_numbers_wherever_its_campaign_began() {
        let drawn = |run: Option<Run>| run.map(|mut run| (run.seed, run.rng.u64(..)));
        let third = drawn(runs("X1", 3).nth(2));
        assert_eq!(third, drawn(runs("X1", 9).nth(2)));
        assert_ne!(third, drawn(runs("X1", 3).nth(1)));
        assert_eq!(runs("X1", 3).count(), 3);
    }
}
