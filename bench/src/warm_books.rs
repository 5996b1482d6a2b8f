//! The command side alone, in a process of its own, with 100,000 books in its memory: what that takes, and how it books on
//! them.

use crate::commands::librarians;
use crate::http::{Connection, Question};
use crate::lists::book;
use crate::load::{Span, closed_loop};
use crate::memory::peak_mib;
use crate::open_circuit;
use crate::process::{Process, built};
use crate::report::Report;
use crate::system::{ANY_PORT, event_store};
use anyhow::{Context as _, ensure};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

const WHAT: &str = "command-api, 100,000 warm books";

/// How many books there are.
const BOOKS: usize = 100_000;

/// How many callers book on them.
const CALLERS: usize = 64;

/// Books on all of them, twice by lists and then one by one.
pub(crate) async fn measure(report: &mut Report, span: Span, dir: &Path) -> anyhow::Result<()> {
    let dir = dir.join("warm-books");
    fs::create_dir_all(&dir)?;
    let (store, store_addr) = event_store(&dir).await?;
    let url = format!("esdb://{store_addr}?tls=false");
    let arguments = ["--listen", ANY_PORT, "--grpc-listen", ANY_PORT, "--event-store-url", &url];
    let mut command_api = Process::start("command-api", &built("command-api")?, arguments, &dir)?;
    let addr = command_api.listening().await?;
    let server = command_api.server();
    book(addr, (1..=BOOKS).collect()).await?;
    let before = calls_of_the_store(addr).await?;
    book(addr, (1..=BOOKS).collect()).await?;
    let calls = calls_of_the_store(addr).await? - before;
    // An append for each, and nothing was read.
    ensure!(calls <= BOOKS, "{calls} calls of the store for {BOOKS} commands: not all books are warm");
    let callers = librarians(addr, CALLERS, BOOKS).await?;
    report.add(WHAT, CALLERS, closed_loop(callers, span, &[server, store.server()]).await?);
    report.memory(WHAT, peak_mib(server.pid)?);
    open_circuit::measure(report, span, addr, &store).await?;
    command_api.stop().await?;
    store.stop().await
}

/// How often the command side was answered by its store.
async fn calls_of_the_store(addr: SocketAddr) -> anyhow::Result<usize> {
    let (_, metrics) = Connection::open(addr).await?.ask(&Question::get("/metrics")?).await?;
    let metrics = String::from_utf8_lossy(&metrics);
    let prefix = r#"event_store_calls_total{outcome="answered"} "#;
    let count = metrics.lines().find_map(|line| line.strip_prefix(prefix)?.trim().parse().ok());
    count.context("the command side does not tell how often it called its store")
}
