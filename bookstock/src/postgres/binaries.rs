//! Where the server binaries are.

use super::error::ClusterError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian keeps the binaries of each version, out of everybody's PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The server binaries of one PostgreSQL.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    directory: PathBuf,
    /// Its major version, such as `15`.
    pub(super) version: String,
}

impl Binaries {
    /// The binaries of `version`, or if that is open, of the latest version there is.
    pub(super) fn find(version: Option<&str>) -> Result<Self, ClusterError> {
        let mut candidates: Vec<Self> = directories().into_iter().filter_map(Self::of).collect();
        // Stable: of two with one version, the first of the list stays first.
        candidates.sort_by_key(|found| std::cmp::Reverse(found.version.parse::<u32>().unwrap_or(0)));
        candidates
            .into_iter()
            .find(|found| version.is_none_or(|version| found.version == version))
            .ok_or_else(|| ClusterError::NotInstalled { version: version.map(str::to_owned) })
    }

    /// The path of `program`.
    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.directory.join(program)
    }

    fn of(directory: PathBuf) -> Option<Self> {
        if !directory.join("initdb").is_file() {
            return None;
        }
        let said = output(&directory.join("postgres"), "--version")?;
        Some(Self { version: major_version(&said)?, directory })
    }
}

fn directories() -> Vec<PathBuf> {
    let debian =
        std::fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let configured = output(Path::new("pg_config"), "--bindir").map(|said| PathBuf::from(said.trim()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.chain(configured).chain(std::env::split_paths(&path)).collect()
}

fn output(program: &Path, argument: &str) -> Option<String> {
    let output =
        Command::new(program).arg(argument).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// The major version in a line like `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_version(said: &str) -> Option<String> {
    let number = said.split_once("(PostgreSQL) ")?.1;
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    (!major.is_empty()).then_some(major)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_the_server_says() {
        for (said, version) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some("15")),
            ("postgres (PostgreSQL) 18beta1\n", Some("18")),
            ("something else", None),
        ] {
            assert_eq!(major_version(said).as_deref(), version, "{said}");
        }
    }

    #[test]
    fn a_version_that_is_not_installed_is_named_with_its_package() {
        let error = Binaries::find(Some("7")).unwrap_err().to_string();
        assert!(error.contains("postgresql-7") && error.contains("DATABASE_URL"), "{error}");
    }
}
