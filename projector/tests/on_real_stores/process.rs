//! A projector as a process of its own, asked over HTTP.

use crate::given::PATIENCE;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) struct Projector {
    process: Child,
    address: String,
}

impl Projector {
    /// Starts one that takes so many events into a transaction at most.
    pub(crate) fn start(event_store_url: &str, database_url: &str, batch_events: u32) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_projector"));
        for variable in ["EVENT_STORE_URL", "DATABASE_URL", "AUTH_ISSUER", "BATCH_EVENTS", "LEASE_OWNER"] {
            command.env_remove(variable);
        }
        command
            .args(["--listen", "127.0.0.1:0", "--event-store-url", event_store_url])
            .args(["--database-url", database_url, "--batch-events", &batch_events.to_string()])
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        Self { process, address }
    }

    /// The status and the body of the answer to `GET path`.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut wire = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: projector\r\nConnection: close\r\n\r\n");
        wire.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        wire.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// What it says at `/status`, when that is as wanted.
    pub(crate) async fn tells(&self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status: Value = serde_json::from_str(&self.get("/status").await.1).unwrap();
            if is_wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "it never told {what}: {status}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// The value of a metric, once it has one.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let (_, metrics) = self.get("/metrics").await;
        // A gauge without labels.
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
