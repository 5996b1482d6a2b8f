//! The directory that a system keeps everything in.

use super::addresses::Addresses;
use anyhow::Context as _;
use service_kit::Lock;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A data directory that this process has to itself.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: Lock,
}

impl DataDir {
    /// Makes it if it is missing, and locks it.
    pub(super) fn take(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let failed = || format!("the data directory {shown} cannot be used; choose another with --data-dir");
        std::fs::create_dir_all(path).with_context(failed)?;
        let path = path.canonicalize().with_context(failed)?;
        let lock = Lock::acquire(&path.join("bookstock.lock")).with_context(failed)?;
        let lock = lock.with_context(|| {
            format!("bookstock already runs on {shown}; stop it, or choose another directory with --data-dir")
        })?;
        let directory = Self { path, _lock: lock };
        // What a killed run left says nothing of this one.
        directory.withdraw();
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes where everything is that is starting, for whoever has to help it: an operator whose read models have to be
    /// rebuilt before it gets ready.
    pub(super) fn announce(&self, addresses: &Addresses) -> anyhow::Result<()> {
        let (file, unfinished) = (self.starting(), self.path.join("bookstock.json.new"));
        let written = || {
            // The addresses may carry passwords.
            let mut out =
                OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&unfinished)?;
            out.write_all(format!("{}\n", serde_json::to_string_pretty(addresses)?).as_bytes())?;
            std::fs::rename(&unfinished, &file)
        };
        written().with_context(|| format!("{} cannot be written", file.display()))
    }

    /// What was announced is ready. Whoever sees the file sees all of it, and a system that is ready.
    pub(super) fn publish(&self) -> anyhow::Result<()> {
        let file = self.file();
        std::fs::rename(self.starting(), &file)
            .with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Removes what was published; it may not be there.
    pub(super) fn withdraw(&self) {
        let _ = std::fs::remove_file(self.file());
        let _ = std::fs::remove_file(self.starting());
    }

    fn file(&self) -> PathBuf {
        self.path.join("bookstock.json")
    }

    fn starting(&self) -> PathBuf {
        self.path.join("bookstock.starting.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_is_told_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDir::take(directory.path()).unwrap();
        let error = DataDir::take(directory.path()).unwrap_err().to_string();
        assert!(error.contains("already runs") && error.contains("--data-dir"), "{error}");
        drop(first);
        assert!(DataDir::take(directory.path()).is_ok());
    }

    #[test]
    fn the_addresses_of_a_run_that_was_killed_are_gone_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["bookstock.json", "bookstock.starting.json"].map(|name| directory.path().join(name));
        for file in &files {
            std::fs::write(file, "{}").unwrap();
        }
        let _taken = DataDir::take(directory.path()).unwrap();
        assert!(files.iter().all(|file| !file.exists()));
    }
}
