//! Where events are carried from: a store, or a file that `replay export` wrote.

use crate::contents::Contents;
use crate::log::{self, Until};
use crate::places::Places;
use crate::record::Record;
use anyhow::{Context as _, bail, ensure};
use event_store::{Kurrent, Position};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// The events of a file that are handed on at once.
const BATCH: usize = 4_096;

/// A line of a file is no longer than this; a store takes no event that would be.
const LONGEST_LINE: u64 = 64 << 20;

/// The first line of a file.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Head {
    /// What kind of file it is, and which version of that.
    pub(crate) format: String,
}

/// The one format that there is.
pub(crate) const FORMAT: &str = "bookstock-events/1";

/// The last line of a file, by which one that was cut off or changed is found out.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Tail {
    /// How many events are before it.
    pub(crate) events: u64,
    /// The digest of all of them in their order.
    pub(crate) sha256: String,
}

/// Where events come from.
#[derive(Clone)]
pub(crate) enum Origin {
    /// A store, without these streams.
    Store { store: Kurrent, left_out: HashSet<String> },
    /// A file.
    File(PathBuf),
}

/// Some events, and how far that is: as a position of the store, or a byte of the file.
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) at: u64,
    /// Of the records, for what tells them to people.
    pub(crate) stored: Vec<(Position, i64)>,
}

/// Events on their way, read while others are written.
pub(crate) type Reading = mpsc::Receiver<anyhow::Result<Batch>>;

impl Origin {
    /// The store of `places`.
    pub(crate) fn store(places: &Places, left_out: Vec<String>) -> anyhow::Result<Self> {
        Ok(Self::Store { store: places.store()?, left_out: left_out.into_iter().collect() })
    }

    /// Where it ends now, as [`Batch::at`] counts.
    pub(crate) async fn end(&self) -> anyhow::Result<u64> {
        match self {
            Self::Store { store, .. } => Ok(log::last(store).await?.map_or(0, |event| event.position.0)),
            Self::File(path) => {
                let file = std::fs::metadata(path);
                Ok(file.with_context(|| format!("{} cannot be read", path.display()))?.len())
            }
        }
    }

    /// Reads up to `end`, or without an end.
    pub(crate) fn read(&self, end: Option<u64>) -> Reading {
        let (sender, reading) = mpsc::channel(2);
        let origin = self.clone();
        match origin {
            Self::Store { store, left_out } => {
                tokio::spawn(async move {
                    if let Err(error) = read_store(&store, &left_out, end, &sender).await {
                        let _ = sender.send(Err(error)).await;
                    }
                });
            }
            Self::File(path) => {
                tokio::task::spawn_blocking(move || {
                    let error = read_file(&path, &sender).with_context(|| path.display().to_string());
                    if let Err(error) = error {
                        let _ = sender.blocking_send(Err(error));
                    }
                });
            }
        }
        reading
    }
}

async fn read_store(
    store: &Kurrent,
    left_out: &HashSet<String>,
    end: Option<u64>,
    sender: &mpsc::Sender<anyhow::Result<Batch>>,
) -> anyhow::Result<()> {
    let until = match end {
        Some(0) => return Ok(()),
        Some(end) => Until::End(Some(Position(end))),
        None => Until::Stopped,
    };
    let mut hearing = log::hear(store, None, &[], until);
    while let Some(events) = hearing.batch().await? {
        let at = events.last().map_or(0, |event| event.position.0);
        let kept = || events.iter().filter(|event| !left_out.contains(&event.stream));
        let stored = kept().map(|event| (event.position, event.created_micros)).collect();
        let records = kept().cloned().map(Record::from).collect();
        if sender.send(Ok(Batch { records, at, stored })).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Counts the bytes that went through it.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: std::io::Read> std::io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn read_file(path: &PathBuf, sender: &mpsc::Sender<anyhow::Result<Batch>>) -> anyhow::Result<()> {
    let mut file = File::open(path)?;
    let mut magic = [0; 2];
    let is_gzip = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    file.rewind()?;
    let read = Arc::new(AtomicU64::new(0));
    let counted = Counted { inner: file, read: Arc::clone(&read) };
    let mut lines: Box<dyn BufRead> = if is_gzip {
        Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(counted)))
    } else {
        Box::new(BufReader::with_capacity(1 << 16, counted))
    };
    let head = next_line(&mut lines)?.and_then(|line| serde_json::from_str::<Head>(&line).ok());
    match head {
        Some(Head { format }) if format == FORMAT => {}
        Some(Head { format }) => bail!("its format is {format:?}, and this version reads {FORMAT:?}"),
        None => bail!("this is not what `replay export` writes"),
    }
    let mut contents = Contents::default();
    let mut records = Vec::new();
    for number in 2_u64.. {
        let line = next_line(&mut lines).with_context(|| format!("line {number}"))?;
        let Some(line) = line else {
            bail!(
                "it ends after {} events without its last line: it was cut off; export once more",
                contents.events
            )
        };
        let tail = serde_json::from_str::<Tail>(&line).ok();
        if tail.is_none() {
            let record = Record::of_line(&line).with_context(|| format!("line {number}"))?;
            contents.take(&record);
            records.push(record);
        }
        if tail.is_some() || records.len() >= BATCH {
            let at = read.load(Ordering::Relaxed);
            let batch = Batch { records: std::mem::take(&mut records), at, stored: Vec::new() };
            if sender.blocking_send(Ok(batch)).is_err() {
                return Ok(());
            }
        }
        if let Some(tail) = tail {
            let found = Tail { events: contents.events, sha256: contents.in_order() };
            ensure!(tail == found, "its events are not those that its last line tells of: it was changed");
            let is_whole = lines.fill_buf().context("after its last line")?.is_empty();
            ensure!(is_whole, "something comes after its last line: it was changed");
            return Ok(());
        }
    }
    Ok(())
}

/// The next whole line; one that does not end was cut off.
fn next_line(lines: &mut impl BufRead) -> anyhow::Result<Option<String>> {
    let mut line = String::new();
    match lines.take(LONGEST_LINE).read_line(&mut line) {
        Ok(0) => Ok(None),
        Ok(_) if line.ends_with('\n') => Ok(Some(line)),
        Ok(_) => Ok(None),
        // What gzip makes of a file that was cut off.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error.into()),
    }
}
