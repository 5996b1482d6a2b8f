//! `cargo xtask campaign`: lists and starts campaigns. They live with the tests, as
//! `<crate>/tests/campaigns/<id>_<what it tries>.rs`, and are found by that name.

use anyhow::Context as _;
use cargo_metadata::Metadata;
use clap::Args;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which campaign, and how much of it.
#[derive(Args)]
pub(crate) struct Campaign {
    /// Which one; left out: all of them are listed.
    id: Option<String>,
    /// How often it is tried.
    #[arg(long, value_name = "N", default_value_t = 100)]
    runs: u64,
    /// The seed of the first run; each further run has the next one. Left out: a new one.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// A campaign's file.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    id: String,
    package: String,
    module: String,
    about: String,
}

/// Lists the campaigns, or runs one. Whether it held.
pub(crate) fn run(campaign: &Campaign, metadata: &Metadata) -> anyhow::Result<bool> {
    let all = find(metadata)?;
    let Some(id) = &campaign.id else {
        for Found { id, package, about, .. } in &all {
            println!("{id:4} {about} ({package})");
        }
        return Ok(true);
    };
    let ids = || all.iter().map(|found| found.id.as_str()).collect::<Vec<_>>().join(", ");
    let found = all
        .iter()
        .find(|found| found.id.eq_ignore_ascii_case(id))
        .with_context(|| format!("there is no campaign {id}; there are {}", ids()))?;
    start(found, campaign.runs, campaign.seed.unwrap_or_else(new_seed))
}

fn start(found: &Found, runs: u64, seed: u64) -> anyhow::Result<bool> {
    let Found { id, package, module, about } = found;
    println!("campaign {id}: {about}");
    println!("commit {}, {runs} runs, seeds from {seed}", commit()?);
    build_programs()?;
    let status = cargo()
        .args(["test", "--release", "--package", package, "--test", "campaigns", "--"])
        .args([&format!("{module}::"), "--nocapture", "--test-threads=1"])
        .env("CAMPAIGN_RUNS", runs.to_string())
        .env("CAMPAIGN_SEED", seed.to_string())
        .status()
        .context("starting cargo")?;
    let outcome = if status.success() { "held" } else { "FAILED" };
    println!(
        "campaign {id}: {outcome}; the same again: cargo xtask campaign {id} --runs {runs} --seed {seed}"
    );
    Ok(status.success())
}

/// Black-box tests start the programs of the workspace.
fn build_programs() -> anyhow::Result<()> {
    let status = cargo().args(["build", "--release", "--bins"]).status().context("starting cargo")?;
    anyhow::ensure!(status.success(), "the programs do not compile");
    Ok(())
}

fn find(metadata: &Metadata) -> anyhow::Result<Vec<Found>> {
    let mut all = Vec::new();
    for package in metadata.workspace_packages() {
        let Some(dir) = package.manifest_path.parent().map(|dir| dir.join("tests/campaigns")) else {
            continue;
        };
        if !dir.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&dir).with_context(|| format!("listing {dir}"))? {
            let path = entry?.path();
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            all.extend(campaign_in(&package.name, &path, &text));
        }
    }
    all.sort_by_key(|found| {
        let (letters, number) = found.id.split_at(found.id.find(|c: char| c.is_ascii_digit()).unwrap_or(0));
        (letters.to_owned(), number.parse::<u32>().unwrap_or(u32::MAX))
    });
    Ok(all)
}

/// The campaign that a file holds: its name is a letter or more, a number, and what it tries.
fn campaign_in(package: &str, path: &Path, text: &str) -> Option<Found> {
    let module = path.file_name()?.to_str()?.strip_suffix(".rs")?;
    let (id, _) = module.split_once('_')?;
    let number = id.trim_start_matches(|c: char| c.is_ascii_lowercase());
    if number.len() == id.len() || number.parse::<u32>().is_err() {
        return None;
    }
    let about = text.lines().next()?.strip_prefix("//!")?.trim();
    Some(Found {
        id: id.to_uppercase(),
        package: package.to_owned(),
        module: module.to_owned(),
        about: about.to_owned(),
    })
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn commit() -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
        .output()
        .context("asking git for the commit")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn new_seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a seed has to differ from day to day; it is printed")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_known_by_the_name_of_its_file() {
        let found = |name: &str| {
            campaign_in("p", Path::new(name), "//! Kills it.\n")
                .map(|found| (found.id, found.module, found.about))
        };
        let kill = ("D1".to_owned(), "d1_killed".to_owned(), "Kills it.".to_owned());
        assert_eq!(found("p/tests/campaigns/d1_killed.rs"), Some(kill));
        for other in ["main.rs", "shared_words.rs", "d_1.rs", "d1.rs", "d1_killed.txt", "1_d.rs"] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
