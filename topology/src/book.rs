//! `topology.json`: what runs where, and how it is, for programs; and a line for people whenever that changes.

use crate::site::Site;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// It was started.
    Starting,
    /// It does its work.
    Ready,
    /// It runs and cannot do its work.
    NotReady,
    /// It has ended, and is started again soon.
    Ended,
}

/// What is known of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Where it is.
    pub(crate) address: String,
    /// Its process.
    pub(crate) pid: Option<u32>,
    /// How it is.
    pub(crate) state: State,
}

/// What is known of all parts, by name.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// The book that is kept of the parts.
#[derive(Debug)]
pub(crate) struct Book {
    file: PathBuf,
    entries: RefCell<Entries>,
}

impl Book {
    /// An empty one.
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, entries: RefCell::default() }
    }

    /// Writes down how a part is, and tells it if that is news.
    pub(crate) fn note(&self, name: &str, entry: Entry, why: &str) {
        let mut entries = self.entries.borrow_mut();
        if entries.get(name) == Some(&entry) {
            return;
        }
        let state = match entry.state {
            State::Starting => "starting",
            State::Ready => "ready",
            State::NotReady => "NOT READY",
            State::Ended => "ENDED",
        };
        // Where standard output is gone nobody reads it, and the work goes on.
        let _ = writeln!(std::io::stdout(), "{name:<15} {state:<10} {:<40} {why}", entry.address);
        entries.insert(name.to_owned(), entry);
        if let Err(error) = write(&self.file, &entries) {
            let _ = writeln!(std::io::stderr(), "{}: {error}", self.file.display());
        }
    }

    /// Whether all of `count` parts are ready.
    pub(crate) fn all_ready(&self, count: usize) -> bool {
        let entries = self.entries.borrow();
        entries.len() == count && entries.values().all(|entry| entry.state == State::Ready)
    }

    /// Nothing runs any more.
    pub(crate) fn close(&self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Whoever reads it sees the old or the new one, never a half.
fn write(file: &Path, entries: &Entries) -> std::io::Result<()> {
    let new = file.with_added_extension("new");
    std::fs::write(&new, serde_json::to_vec_pretty(entries)?)?;
    std::fs::rename(new, file)
}

/// What the book of a running topology says.
fn read(file: &Path) -> anyhow::Result<Entries> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is damaged", file.display()))
}

/// What it says of one part. A topology that was killed leaves a book: its processes may be anybody's by now.
pub(crate) fn entry(site: &Site, name: &str) -> anyhow::Result<Entry> {
    let file = site.book();
    anyhow::ensure!(
        file.exists() && site.lock()?.is_none(),
        "no topology runs in {}; start one: cargo xtask topology up",
        site.shown()
    );
    read(&file)?.remove(name).with_context(|| format!("{} does not tell of {name}", file.display()))
}
