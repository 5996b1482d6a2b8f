//! The event store server as a process of its own.

use event_store::{ContentType, EventStore as _, Expected, Kurrent, NewEvent, Options};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use uuid::Uuid;

pub(crate) struct Store {
    data: tempfile::TempDir,
    server: Mutex<Child>,
    address: String,
    client: Kurrent,
    /// The next revision of each stream.
    next: tokio::sync::Mutex<HashMap<String, u64>>,
}

impl Store {
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let (server, address) = spawn(data.path().to_path_buf(), "127.0.0.1:0");
        let url = format!("esdb://{address}?tls=false");
        let client = Kurrent::connect(&url, Options::default()).expect("the address is right");
        Self { data, server: Mutex::new(server), address, client, next: tokio::sync::Mutex::default() }
    }

    pub(crate) fn url(&self) -> String {
        format!("esdb://{}?tls=false", self.address)
    }

    pub(crate) fn kill(&self) {
        let mut server = self.server.lock().expect("nobody panicked");
        server.kill().expect("it is ours");
        server.wait().expect("it ends");
    }

    pub(crate) fn start_again(&self) {
        *self.server.lock().expect("nobody panicked") =
            spawn(self.data.path().to_path_buf(), &self.address).0;
    }

    /// Stops it, reclaims what is hidden in it, and starts it again.
    #[allow(dead_code, reason = "the tests of the replay tool share this file")]
    pub(crate) fn scavenge(&self) {
        self.kill();
        let scavenge = Command::new(program()).arg("--data").arg(self.data.path()).arg("scavenge").output();
        let scavenge = scavenge.expect("it can be run");
        assert!(scavenge.status.success(), "{scavenge:?}");
        self.start_again();
    }

    /// Starts another store, without any event, where this one was.
    pub(crate) fn start_empty(&self) {
        let data = self.data.path().join("another");
        *self.server.lock().expect("nobody panicked") = spawn(data, &self.address).0;
    }

    /// Appends to the end of a stream, and answers the position.
    pub(crate) async fn append(&self, stream: &str, events: Vec<(String, Vec<u8>)>) -> u64 {
        self.append_with(stream, events, b"{}").await
    }

    /// The same, with these metadata.
    pub(crate) async fn append_with(
        &self,
        stream: &str,
        events: Vec<(String, Vec<u8>)>,
        metadata: &'static [u8],
    ) -> u64 {
        let mut next = self.next.lock().await;
        let next = next.entry(stream.to_owned()).or_default();
        let expected = next.checked_sub(1).map_or(Expected::NoStream, Expected::Revision);
        let numbered = events.into_iter().zip(*next..);
        let events: Vec<NewEvent> = numbered
            .map(|((event_type, data), revision)| NewEvent {
                id: Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{stream} {revision}").as_bytes()),
                event_type,
                content_type: content_type(&data),
                data: data.into(),
                metadata: bytes::Bytes::from_static(metadata),
            })
            .collect();
        *next += events.len() as u64;
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.client.append(stream, expected, events.clone()).await {
                Ok(appended) => return appended.position.0,
                Err(error) => assert!(Instant::now() < deadline, "the event store stays away: {error}"),
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Broken JSON goes by another name: our own client sends it under no other.
fn content_type(data: &[u8]) -> ContentType {
    match serde_json::from_slice::<serde_json::Value>(data) {
        Ok(_) => ContentType::Json,
        Err(_) => ContentType::Binary,
    }
}

fn spawn(data: PathBuf, listen: &str) -> (Child, String) {
    let program = program();
    assert!(program.exists(), "{} is missing; run: cargo build -p event-store-server", program.display());
    let mut server = Command::new(program)
        .arg("--data")
        .arg(data)
        .args(["--listen", listen])
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("it is piped"))
        .read_line(&mut line)
        .expect("it prints a line");
    let address = line.trim().rsplit([' ', '/']).next().unwrap_or_default().to_owned();
    (server, address)
}

/// Built beside this test.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("EVENT_STORE_SERVER_BIN") {
        return path.into();
    }
    let mut path = std::env::current_exe().expect("this test is a file");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("event-store-server")
}
