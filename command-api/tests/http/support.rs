//! A running event store, running command sides on it, and short words for what tests say often.

use command_api::Settings;
use domain::book::BookName;
use event_store::{
    ContentType, Direction, EventStore as _, Expected, Kurrent, NewEvent, Options, Start, StoredEvent,
};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, WaitOptions, waitpid};
use serde_json::Value;
use service_kit::listen::{self, Exposure};
use service_kit::{Auth, Health, LimitSettings, Limits, edge};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a test waits for something that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An event store server with a directory of its own.
pub(crate) struct Store {
    dir: TempDir,
    pub(crate) addr: SocketAddr,
    server: Child,
}

impl Store {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (server, addr) = spawn(&dir, ([127, 0, 0, 1], 0).into()).await;
        Self { dir, addr, server }
    }

    /// Ends it as a power cut would.
    pub(crate) async fn kill(&mut self) {
        self.server.kill().await.unwrap();
    }

    /// Starts it again on the same data, at the same address.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        (self.server, self.addr) = spawn(&self.dir, self.addr).await;
    }

    /// Freezes it: its connections stay open and nothing answers.
    pub(crate) async fn freeze(&self) {
        self.signal("-STOP").await;
        // The signal takes its time to reach all threads; until then the server may answer.
        let process = Pid::from_raw(self.server.id().unwrap().cast_signed());
        let stopping = tokio::task::spawn_blocking(move || waitpid(process, WaitOptions::UNTRACED).unwrap());
        assert!(stopping.await.unwrap().is_some_and(|(_, status)| status.stopped()));
    }

    pub(crate) async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    /// Every sync of its disk takes so much longer, until what this gives is dropped: what it writes waits, and reads go on.
    pub(crate) async fn slow_disk(&self, delay: Duration) -> Child {
        let mut strace = Command::new("strace")
            .args(["--follow-forks", "--output=/dev/null", "--trace=fsync,fdatasync"])
            .arg(format!("--inject=fsync,fdatasync:delay_enter={}ms", delay.as_millis()))
            .args(["--attach", &self.server.id().unwrap().to_string()])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("strace is installed");
        let mut lines = BufReader::new(strace.stderr.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it attaches").unwrap();
        assert!(line.as_ref().is_some_and(|line| line.contains("attached")), "{line:?}");
        strace
    }

    /// Waits until all that was asked of it before is written, for the `time`th time: it writes one thing after the other.
    pub(crate) async fn has_written(&self, time: u64) {
        let event = NewEvent {
            id: uuid::Uuid::from_u128(u128::from(time) + 1),
            event_type: "Asked".to_owned(),
            content_type: ContentType::Json,
            data: "{}".into(),
            metadata: "{}".into(),
        };
        let patient = Options { call_timeout: PATIENCE, ..Options::default() };
        let client = Kurrent::connect(&self.url(), patient).unwrap();
        client.append(&format!("nobodys-{time}"), Expected::NoStream, vec![event]).await.unwrap();
    }

    /// Another client deletes the book's stream for ever, as the command side never does.
    pub(crate) async fn delete_for_ever(&self, book: u64) {
        let settings = format!("{}&discoveryInterval=10&tlsCaFile=/dev/null", self.url());
        let client = eventstore::Client::new(settings.parse().unwrap()).unwrap();
        client.tombstone_stream(format!("book-{book}"), &Default::default()).await.unwrap();
    }

    async fn signal(&self, signal: &str) {
        let pid = self.server.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
    }

    pub(crate) fn url(&self) -> String {
        format!("esdb://{}?tls=false", self.addr)
    }

    /// A client of it, for looking and meddling past the command side.
    pub(crate) fn client(&self) -> Kurrent {
        Kurrent::connect(&self.url(), Options::default()).unwrap()
    }

    /// All events of the book, old to new.
    pub(crate) async fn events(&self, book: u64) -> Vec<StoredEvent> {
        let stream = format!("book-{book}");
        self.client().read_stream(&stream, Start::Beginning, Direction::Forwards, 10_000).await.unwrap()
    }
}

async fn spawn(dir: &TempDir, listen: SocketAddr) -> (Child, SocketAddr) {
    let mut server = Command::new(server_binary())
        .arg("--data")
        .arg(dir.path())
        .args(["--listen", &listen.to_string()])
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it starts").unwrap().unwrap();
    let addr = line.rsplit([' ', '/']).next().unwrap().parse().unwrap();
    (server, addr)
}

fn server_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("EVENT_STORE_SERVER_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("event-store-server");
    assert!(
        path.exists(),
        "these tests need {}: run `cargo build -p event-store-server` (with --release if the tests are), or set EVENT_STORE_SERVER_BIN",
        path.display()
    );
    path
}

/// A command side at some address.
pub(crate) struct Site {
    addr: SocketAddr,
    http: reqwest::Client,
}

impl Site {
    pub(crate) fn at(addr: SocketAddr) -> Self {
        Self { addr, http: reqwest::Client::new() }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.http.get(self.url(path))).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, body, &[]).await
    }

    pub(crate) async fn post_with(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, "application/json", body.to_string().into_bytes(), headers).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.http.request(method, self.url(path)).body(body);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// Warehouses so many copies of the book.
    pub(crate) async fn warehouse(&self, book: u64, qty: u64) -> Answer {
        self.post(&format!("/books/{book}/warehousings"), serde_json::json!({"qty": qty})).await
    }

    /// The same, with a key.
    pub(crate) async fn warehouse_keyed(&self, book: u64, qty: u64, key: &str) -> Answer {
        let path = format!("/books/{book}/warehousings");
        self.post_with(&path, serde_json::json!({"qty": qty}), &[("idempotency-key", key)]).await
    }

    /// The same, sent until it is booked: one that is hurried may have to be asked again, as its store may be busy.
    pub(crate) async fn booked(&self, book: u64, qty: u64, key: &str) -> Answer {
        let started = Instant::now();
        loop {
            let answer = self.warehouse_keyed(book, qty, key).await;
            if answer.status == 201 {
                return answer;
            }
            assert!(answer.status == 503 && started.elapsed() < PATIENCE, "{answer:?}");
        }
    }

    /// Sends a receiving list, a JSON object a line.
    pub(crate) async fn send_list(&self, lines: String) -> Answer {
        self.send(Method::POST, "/warehousings", "application/x-ndjson", lines.into_bytes(), &[]).await
    }

    pub(crate) async fn stock(&self, book: u64) -> Value {
        self.get(&format!("/libraries/{book}")).await.ok(200)["stock"].clone()
    }
}

/// A command side with a cache of its own, as one of several replicas would be.
pub(crate) struct Replica {
    site: Site,
    grpc: SocketAddr,
    shutdown: CancellationToken,
    _running: DropGuard,
}

impl Replica {
    pub(crate) async fn start(store: &Store) -> Self {
        Self::start_with(store, None).await
    }

    /// With the deadline that programs have. All others are patient, so that a busy machine fails no test.
    pub(crate) async fn hurried(store: &Store) -> Self {
        Self::run(store, None, 777, &LimitSettings::default()).await
    }

    pub(crate) async fn start_with(store: &Store, name: Option<&str>) -> Self {
        Self::run(store, name, 19_000, &LimitSettings::default()).await
    }

    pub(crate) async fn limited(store: &Store, limits: &LimitSettings) -> Self {
        Self::run(store, None, 19_000, limits).await
    }

    async fn run(store: &Store, name: Option<&str>, store_timeout_ms: u64, limits: &LimitSettings) -> Self {
        let settings = Settings {
            event_store_url: store.url(),
            name: name.map(|name| name.parse::<BookName>().unwrap()),
            store_timeout_ms,
            book_cache_mib: 1,
        };
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let ways_in = command_api::open(&settings, &health, shutdown.clone()).unwrap();
        let limits = Limits::new(limits);
        let (http, addr) = bind().await;
        let routes = edge::around("command-api", ways_in.http, &health, &Auth::open(), &limits);
        tokio::spawn(listen::serve(http, routes, shutdown.clone()));
        let (calls, grpc) = bind().await;
        let routes = edge::around_calls("command-api", ways_in.grpc, &Auth::open(), &limits);
        tokio::spawn(listen::serve_calls(calls, routes, shutdown.clone()));
        Self { site: Site::at(addr), grpc, shutdown: shutdown.clone(), _running: shutdown.drop_guard() }
    }

    /// It takes nothing new from here on.
    pub(crate) fn tell_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Where it listens for gRPC.
    pub(crate) fn grpc(&self) -> String {
        format!("http://{}", self.grpc)
    }
}

impl Deref for Replica {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

async fn bind() -> (TcpListener, SocketAddr) {
    let any_port = ([127, 0, 0, 1], 0).into();
    let listener = listen::bind("command-api", "--listen", any_port, Exposure::Loopback).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// An HTTP answer, read to its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body, if the status is this one.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        serde_json::from_str(&self.text).unwrap()
    }

    /// The problem document, if it is this one.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, name: &str) -> Value {
        let document = self.ok(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(document["type"], format!("urn:bookstock:problem:{name}"), "{document}");
        assert_eq!(document["status"], status);
        document
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    /// What a repeat has to answer again: all but the date, its own id, and the word that it is one.
    pub(crate) fn lasting(&self) -> Answer {
        let mut lasting = self.clone();
        lasting.headers.remove("date");
        lasting.headers.remove("x-request-id");
        lasting.headers.remove("idempotency-replayed");
        lasting
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

/// Tries until it holds, for as long as patience lasts.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
