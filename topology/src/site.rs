//! Where a topology keeps everything.

use anyhow::Context as _;
use service_kit::Lock;
use std::path::{Path, PathBuf};

/// The directory of a topology.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Site {
    /// Where everything is kept; made if it is missing.
    #[arg(long = "data-dir", value_name = "DIR", default_value = ".topology")]
    dir: PathBuf,
}

impl Site {
    /// Makes what is missing, and gives the directory's own path.
    pub(crate) fn made(&self) -> anyhow::Result<PathBuf> {
        let shown = self.dir.display();
        for dir in [self.dir.clone(), self.dir.join("logs"), self.dir.join("prometheus")] {
            std::fs::create_dir_all(dir).with_context(|| {
                format!("{shown} cannot be used; choose another directory with --data-dir")
            })?;
        }
        self.dir.canonicalize().with_context(|| format!("{shown} cannot be resolved"))
    }

    /// What it is called, for people.
    pub(crate) fn shown(&self) -> std::path::Display<'_> {
        self.dir.display()
    }

    /// The directory's lock, which a running topology has; none, if another has it.
    pub(crate) fn lock(&self) -> anyhow::Result<Option<Lock>> {
        let lock = self.dir.join("topology.lock");
        Lock::acquire(&lock).with_context(|| format!("locking {}", lock.display()))
    }

    /// Where the event store keeps its data.
    pub(crate) fn events(&self) -> PathBuf {
        events_in(&self.dir)
    }

    /// The file that says what runs where.
    pub(crate) fn book(&self) -> PathBuf {
        book_in(&self.dir)
    }
}

/// The file in `dir` that says what runs where.
pub(crate) fn book_in(dir: &Path) -> PathBuf {
    dir.join("topology.json")
}

/// Where in `dir` the event store keeps its data.
pub(crate) fn events_in(dir: &Path) -> PathBuf {
    dir.join("events")
}
