//! The limits: the least programs that could do the same work. Each runs as a process of its own, as the system does,
//! on a runtime with as many threads as the machine has cores.

mod bare_route;
pub(crate) mod disk;
mod durable_route;
pub(crate) mod echo;

use crate::cpu::Server;
use crate::process::Process;
use crate::system::ANY_PORT;
use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, Subcommand};
use hyper::StatusCode;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;

/// A limit that is served.
#[derive(Debug, Args)]
pub(crate) struct Served {
    #[command(subcommand)]
    limit: Limit,
}

#[derive(Debug, Subcommand)]
enum Limit {
    /// One route that answers the bytes of a file.
    BareRoute { answer: PathBuf, status: u16 },
    /// One route that writes to a file.
    DurableRoute { file: PathBuf },
    /// One unary call.
    Echo,
}

impl Served {
    /// Serves it until the process is killed.
    pub(crate) async fn serve(self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(ANY_PORT).await?;
        writeln!(std::io::stdout(), "limit listening on {}", listener.local_addr()?)?;
        match self.limit {
            Limit::BareRoute { answer, status } => {
                bare_route::serve(listener, fs::read(answer)?.into(), StatusCode::from_u16(status)?).await
            }
            Limit::DurableRoute { file } => durable_route::serve(listener, &file).await,
            Limit::Echo => echo::serve(listener).await,
        }
    }
}

/// A limit that was started.
pub(crate) struct Running {
    process: Process,
    pub(crate) addr: SocketAddr,
}

impl Running {
    /// A route that answers any request with these bytes. `name` tells apart those of one `dir`.
    pub(crate) async fn bare_route(
        name: &str,
        answer: &Bytes,
        status: StatusCode,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        let file = dir.join(format!("{name}.answer"));
        fs::write(&file, answer)?;
        Self::start(&["bare-route", text(&file)?, status.as_str()], &dir.join(name)).await
    }

    /// A route that takes a warehousing and answers when it is on the disk.
    pub(crate) async fn durable_route(dir: &Path) -> anyhow::Result<Self> {
        Self::start(&["durable-route", text(&dir.join("durable-route.log"))?], &dir.join("durable-route"))
            .await
    }

    /// A unary call that answers what it was asked.
    pub(crate) async fn echo(dir: &Path) -> anyhow::Result<Self> {
        Self::start(&["echo"], &dir.join("echo")).await
    }

    async fn start(arguments: &[&str], dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let arguments = ["limit"].iter().chain(arguments);
        let mut process = Process::start("limit", &std::env::current_exe()?, arguments, dir)?;
        let addr = process.listening().await?;
        Ok(Self { process, addr })
    }

    pub(crate) fn server(&self) -> Server {
        self.process.server()
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the data directory's name is not text")
}
