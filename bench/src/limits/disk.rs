//! The disk alone: how often it can promise.

use crate::load::Span;
use crate::round::{self, Meter, Round};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// What is written each time: a block, the least that a disk takes.
const BLOCK: [u8; 4096] = [b'.'; 4096];
const BLOCK_BYTES: u64 = 4096;

/// How many blocks the file has. They are written once before: then no promise is about more than the block itself.
const BLOCKS: u64 = 1024;

/// Overwrites a block of a file in `dir` and calls fdatasync, again and again for the span.
pub(crate) async fn fdatasync(dir: &Path, span: Span) -> anyhow::Result<Round> {
    let path = dir.join("fdatasync");
    tokio::task::spawn_blocking(move || {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        for block in 0..BLOCKS {
            file.write_all_at(&BLOCK, block * BLOCK_BYTES)?;
        }
        file.sync_all()?;
        let mut block = 0;
        let mut promise_for = |time: Duration| {
            let mut latencies = round::latencies()?;
            let started = Instant::now();
            while started.elapsed() < time {
                let began = Instant::now();
                block = (block + 1) % BLOCKS;
                file.write_all_at(&BLOCK, block * BLOCK_BYTES)?;
                file.sync_data()?;
                round::record(&mut latencies, began.elapsed());
            }
            anyhow::Ok(latencies)
        };
        promise_for(span.warm_up)?;
        let meter = Meter::start(&[])?;
        let latencies = promise_for(span.measured)?;
        meter.stop(latencies.len(), Some(latencies))
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_disk_promises_as_long_as_it_is_asked_and_the_file_does_not_grow() {
        let dir = tempfile::tempdir().unwrap();
        let round = fdatasync(dir.path(), Span::of(Duration::from_millis(50))).await.unwrap();
        let bytes = std::fs::metadata(dir.path().join("fdatasync")).unwrap().len();
        assert!(round.count > 0 && round.elapsed >= Duration::from_millis(50));
        assert_eq!(bytes, BLOCKS * BLOCK_BYTES);
    }
}
