//! The system under measurement: `bookstock up`, or its parts, each a release binary in a process of its own.

use crate::cpu::Server;
use crate::http::{Connection, Question};
use crate::process::{Process, built};
use anyhow::Context as _;
use serde::Deserialize;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Any free port of this machine.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// A command waits ten seconds for the event store. Where the disk stands still for one, the figure is to be a small one:
/// with less patience a command would be refused, and there would be none.
const PATIENCE: (&str, &str) = ("STORE_TIMEOUT_MS", "10000");

const EVENT_STORE: &str = "event-store-server";

/// `bookstock up` with everything on, on free ports, with a private PostgreSQL.
pub(crate) struct System {
    process: Process,
    pub(crate) command_api: SocketAddr,
    pub(crate) query_api: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The connection string of the event store.
    pub(crate) event_store: String,
    /// Where its data is.
    pub(crate) data: PathBuf,
    /// The connection string of the private PostgreSQL.
    pub(crate) database: String,
}

/// What `bookstock up` writes when it is ready.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Addresses {
    command_api: String,
    query_api: String,
    admin: String,
    event_store: String,
    database: String,
}

/// The answer to a command.
#[derive(Deserialize)]
pub(crate) struct Acknowledged {
    /// Larger is later.
    pub(crate) position: String,
}

impl System {
    /// Starts it with its data in `dir`, and waits until it is ready.
    pub(crate) async fn start(dir: &Path) -> anyhow::Result<Self> {
        let data = dir.join("bookstock");
        let data_argument = data.to_str().context("the data directory's name is not text")?;
        let parts = [
            "--gateway",
            "--command-api",
            "--grpc",
            "--query-api",
            "--admin",
            "--projector",
            "--event-store",
        ];
        let listen = parts.map(|of| [of, ANY_PORT]);
        let arguments = ["up", "--data-dir", data_argument].into_iter().chain(listen.into_iter().flatten());
        let mut process =
            Process::start_with(Some(PATIENCE), "bookstock", &built("bookstock")?, arguments, dir)?;
        let file = data.join("bookstock.json");
        let addresses: Addresses =
            process.until(|| serde_json::from_slice(&fs::read(&file).ok()?).ok()).await?;
        Ok(Self {
            process,
            command_api: socket(&addresses.command_api)?,
            query_api: socket(&addresses.query_api)?,
            admin: socket(&addresses.admin)?,
            event_store: addresses.event_store,
            database: addresses.database,
            data,
        })
    }

    pub(crate) fn server(&self) -> Server {
        self.process.server()
    }

    /// Waits until the views show everything that was booked, so that nothing of one round is left to the next.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let warehouse = Question::post("/books/1/warehousings", r#"{"qty":1}"#)?;
        let booked: Acknowledged = Connection::open(self.command_api).await?.ask_json(&warehouse).await?;
        let seen = Question::get(&format!("/books/1?minPosition={}&wait=10000", booked.position))?;
        let mut queries = Connection::open(self.query_api).await?;
        // A round of commands can leave the views more than one wait behind.
        for _ in 0..12 {
            let (status, _) = queries.ask(&seen).await?;
            if status.is_success() {
                return Ok(());
            }
        }
        anyhow::bail!("the views did not reach position {} in two minutes", booked.position)
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await
    }
}

/// Starts an event store alone, with its data in `dir`.
pub(crate) async fn event_store(dir: &Path) -> anyhow::Result<(Process, SocketAddr)> {
    let data = dir.join("events");
    let data = data.to_str().context("the data directory's name is not text")?;
    let mut process =
        Process::start(EVENT_STORE, &built(EVENT_STORE)?, ["--data", data, "--listen", ANY_PORT], dir)?;
    let addr = process.listening().await?;
    Ok((process, addr))
}

/// Lets others pass through `dir`: a PostgreSQL started by root runs as somebody else.
pub(crate) fn open_to_all(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("the mode of {} cannot be changed", dir.display()))
}

/// The socket address in `http://127.0.0.1:8085`.
fn socket(url: &str) -> anyhow::Result<SocketAddr> {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let addr = authority.parse().ok().or_else(|| port.map(|port| (Ipv4Addr::LOCALHOST, port).into()));
    addr.with_context(|| format!("{url} names no port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_its_url() {
        let addr: SocketAddr = "127.0.0.1:8085".parse().unwrap();
        assert_eq!(socket("http://127.0.0.1:8085").unwrap(), addr);
        assert_eq!(socket("http://localhost:8085/").unwrap(), addr);
        assert!(socket("http://localhost").is_err());
    }
}
