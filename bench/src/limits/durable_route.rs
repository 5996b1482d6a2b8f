//! The hand-written limit of a durable command: one route that adds to a stock in memory, appends a line to a file,
//! and answers after fdatasync. Whoever waits at the same time shares one fdatasync, and the file has its blocks before
//! they are needed. No rules, no idempotency, no conflicts, no views.

use anyhow::Context as _;
use axum::extract::{Path as InPath, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// The most commands that share one fdatasync.
const BATCH: usize = 1024;

#[derive(Deserialize)]
struct Warehousing {
    qty: u32,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Booked {
    book_id: u64,
    name: Option<String>,
    version: f64,
    stock: u32,
    revision: u64,
    position: String,
}

/// One line of the file.
#[derive(Serialize)]
struct Line<'a> {
    qty: u32,
    after: &'a Booked,
}

struct Waiting {
    book_id: u64,
    qty: u32,
    answer: oneshot::Sender<Booked>,
}

/// Answers `POST /books/{bookId}/warehousings`, with the file at `path` behind it.
pub(super) async fn serve(listener: TcpListener, path: &Path) -> anyhow::Result<()> {
    let log = Log::create(path).with_context(|| format!("{} cannot be made", path.display()))?;
    let (commands, waiting) = mpsc::channel(BATCH);
    let writer = tokio::task::spawn_blocking(move || write(log, waiting));
    let listener = listener.tap_io(|tcp| {
        // Only speed is lost where the system refuses.
        let _ = tcp.set_nodelay(true);
    });
    let routes = Router::new().route("/books/{book_id}/warehousings", post(warehouse)).with_state(commands);
    tokio::select! {
        served = axum::serve(listener, routes) => Ok(served?),
        written = writer => written?,
    }
}

async fn warehouse(
    State(commands): State<mpsc::Sender<Waiting>>,
    InPath(book_id): InPath<u64>,
    Json(Warehousing { qty }): Json<Warehousing>,
) -> Result<(StatusCode, Json<Booked>), StatusCode> {
    let (answer, booked) = oneshot::channel();
    let written = async {
        commands.send(Waiting { book_id, qty, answer }).await.ok()?;
        booked.await.ok()
    };
    let booked = written.await.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    Ok((StatusCode::CREATED, Json(booked)))
}

/// Writes whatever is waiting, once and again, until nobody can come any more.
fn write(mut log: Log, mut waiting: mpsc::Receiver<Waiting>) -> anyhow::Result<()> {
    let mut books: HashMap<u64, Booked> = HashMap::new();
    let (mut batch, mut lines, mut answers) = (Vec::with_capacity(BATCH), Vec::new(), Vec::new());
    let mut position = 0_u64;
    while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
        lines.clear();
        for Waiting { book_id, qty, answer } in batch.drain(..) {
            position += 1;
            let booked = book(&mut books, book_id, qty, position);
            serde_json::to_writer(&mut lines, &Line { qty, after: booked })?;
            lines.push(b'\n');
            answers.push((answer, booked.clone()));
        }
        log.append(&lines)?;
        for (answer, booked) in answers.drain(..) {
            // Whoever left does not hear it.
            let _ = answer.send(booked);
        }
    }
    Ok(())
}

fn book(books: &mut HashMap<u64, Booked>, book_id: u64, qty: u32, position: u64) -> &Booked {
    let booked = books
        .entry(book_id)
        .and_modify(|booked| {
            booked.stock = booked.stock.saturating_add(qty);
            booked.revision += 1;
        })
        .or_insert(Booked {
            book_id,
            name: None,
            version: 1.0,
            stock: qty,
            revision: 0,
            position: String::new(),
        });
    booked.position = position.to_string();
    booked
}

/// A file that only ever gets longer. It is filled with zeros ahead of its end, because an fdatasync that has to tell
/// the file system of new blocks takes several times as long.
struct Log {
    file: File,
    end: u64,
    filled: u64,
}

impl Log {
    /// How much is filled at a time.
    const AHEAD: [u8; 1 << 20] = [0; 1 << 20];
    const PIECES: usize = 64;

    fn create(path: &Path) -> io::Result<Self> {
        let mut log = Self { file: File::create_new(path)?, end: 0, filled: 0 };
        log.fill()?;
        Ok(log)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.end + bytes.len() as u64;
        while self.filled < end {
            self.fill()?;
        }
        self.file.write_all_at(bytes, self.end)?;
        self.end = end;
        self.file.sync_data()
    }

    fn fill(&mut self) -> io::Result<()> {
        for _ in 0..Self::PIECES {
            self.file.write_all_at(&Self::AHEAD, self.filled)?;
            self.filled += Self::AHEAD.len() as u64;
        }
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_answered_is_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = Log::create(&path).unwrap();
        let (commands, waiting) = mpsc::channel(BATCH);
        let writer = tokio::task::spawn_blocking(move || write(log, waiting));
        let mut stock = 0;
        for qty in [3, 4] {
            let (answer, booked) = oneshot::channel();
            commands.send(Waiting { book_id: 7, qty, answer }).await.ok().unwrap();
            stock = booked.await.unwrap().stock;
        }
        let bytes = std::fs::read(&path).unwrap();
        let lines = std::str::from_utf8(&bytes).unwrap().trim_end_matches('\0');
        assert_eq!((stock, lines.lines().count()), (7, 2));
        assert!(lines.ends_with(
            "{\"qty\":4,\"after\":{\"bookId\":7,\"name\":null,\"version\":1.0,\"stock\":7,\"revision\":1,\"position\":\"2\"}}\n"
        ));
        drop(commands);
        writer.await.unwrap().unwrap();
    }
}
