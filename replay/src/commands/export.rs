//! `replay export`: all events of the store as lines of JSON.

use crate::contents::Contents;
use crate::origin::{FORMAT, Head, Origin, Tail};
use crate::places::Places;
use crate::progress::Progress;
use crate::table::count;
use crate::tell::{Outcome, Tell, WrongUse, note, written};
use crate::unfit;
use anyhow::bail;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::io::{BufWriter, IsTerminal as _, Write, stdout};
use std::time::Duration;

/// Write all events of the store to standard output, a line of JSON for each, for `replay import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Compress them.
    #[arg(long)]
    gzip: bool,

    /// Go on without this stream, which cannot be carried; may be given several times.
    #[arg(long, value_name = "STREAM")]
    leave_out: Vec<String>,
}

#[derive(Serialize)]
struct Exported {
    events: u64,
    sha256: String,
}

impl Export {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        if self.gzip && stdout().is_terminal() {
            let refused = anyhow::Error::new(WrongUse);
            return Err(
                refused.context("what is compressed is not for a terminal; write it to a file with > FILE")
            );
        }
        let origin = Origin::store(places, self.leave_out)?;
        let end = origin.end().await?;
        if let Origin::Store { store, left_out } = &origin {
            unfit::look(store, end).await?.refuse(left_out)?;
        }
        let out = BufWriter::with_capacity(1 << 16, stdout().lock());
        let exported = if self.gzip {
            let mut out = GzEncoder::new(out, Compression::default());
            let exported = write(&origin, end, &mut out)?.await;
            written(out.finish().and_then(|mut out| out.flush()))?;
            exported
        } else {
            let mut out = out;
            let exported = write(&origin, end, &mut out)?.await;
            written(out.flush())?;
            exported
        }?;
        // Standard output is the file.
        match tell.json {
            true => note(serde_json::to_string(&exported)?),
            false => note(format_args!("{} events exported", count(exported.events))),
        }
        Ok(Outcome::Done)
    }
}

/// Writes all events up to `end`. What is not written to its end has no last line, by which `replay import` knows it.
fn write<'a>(
    origin: &'a Origin,
    end: u64,
    out: &'a mut impl Write,
) -> anyhow::Result<impl Future<Output = anyhow::Result<Exported>> + 'a> {
    let stop = service_kit::shutdown::on_signal(Duration::ZERO)?;
    Ok(async move {
        let mut contents = Contents::default();
        let mut progress = Progress::start("exporting", end);
        written(writeln!(out, "{}", serde_json::to_string(&Head { format: FORMAT.to_owned() })?))?;
        let mut reading = origin.read(Some(end));
        loop {
            let Some(next) = stop.run_until_cancelled(reading.recv()).await else {
                bail!(
                    "stopped after {} events; the file is not whole, and no import takes it",
                    contents.events
                )
            };
            let Some(batch) = next else { break };
            let batch = batch?;
            for (record, (position, created)) in batch.records.iter().zip(&batch.stored) {
                written(writeln!(out, "{}", record.line(*position, *created)?))?;
                contents.take(record);
            }
            progress.done(batch.records.len(), batch.at);
        }
        let (events, sha256) = (contents.events, contents.in_order());
        written(writeln!(out, "{}", serde_json::to_string(&Tail { events, sha256: sha256.clone() })?))?;
        Ok(Exported { events, sha256 })
    })
}
