//! What the tests begin with: a library with its history, and the tool.

use crate::cluster;
use crate::store::Store;
use clap::Parser as _;
use domain::book::{Book, BookId, Renew, Warehouse};
use domain::{Decide, Evolve as _, Metadata, Persist as _, Timestamp};
use event_store::{ContentType, EventStore as _, Expected, Kurrent, NewEvent, Options};
use read_model::{Reader, ReaderOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use service_kit::Health;
use std::collections::HashMap;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A store of books, written by the real rules as the command side writes them.
pub(crate) struct Library {
    pub(crate) store: Store,
    pub(crate) client: Kurrent,
    books: HashMap<u64, (Book, Option<u64>)>,
    seconds: i64,
}

impl Library {
    pub(crate) fn start() -> Self {
        let store = Store::start();
        let client = client(&store);
        Self { store, client, books: HashMap::new(), seconds: 0 }
    }

    /// Warehouses copies of a book, named the first time; answers the position.
    pub(crate) async fn warehouse(&mut self, number: u64, qty: u64) -> u64 {
        let first = !self.books.contains_key(&number);
        let command = Warehouse {
            book_id: book(number),
            qty: qty.try_into().unwrap(),
            version: None,
            name: first.then(|| format!("책 {number}").parse().unwrap()),
            default_name: None,
            at: self.tick(),
        };
        self.book(number, &command).await
    }

    pub(crate) async fn renew(&mut self, number: u64) -> u64 {
        let command = Renew { book_id: book(number), version: None, at: self.tick() };
        self.book(number, &command).await
    }

    /// What was appended to a book's stream by somebody else.
    pub(crate) fn somebody_appended(&mut self, number: u64) {
        let (_, last) = self.books.get_mut(&number).unwrap();
        *last = last.map(|last| last + 1);
    }

    /// Appends something that nobody can read to a book's stream.
    pub(crate) async fn scribble(&mut self, number: u64) -> u64 {
        let (_, last) = self.books.entry(number).or_default();
        let revision = last.map_or(0, |last| last + 1);
        let expected = last.map_or(Expected::NoStream, Expected::Revision);
        *last = Some(revision);
        let event = NewEvent {
            id: id(number, revision),
            event_type: "Shredded".to_owned(),
            content_type: ContentType::Json,
            data: bytes::Bytes::from_static(b"{}"),
            metadata: bytes::Bytes::from_static(b"{}"),
        };
        let stream = book(number).stream();
        self.client.append(&stream, expected, vec![event]).await.unwrap().position.0
    }

    /// Warehouses one copy of a book, and says something else of it in the metadata.
    pub(crate) async fn lie(&mut self, number: u64) -> u64 {
        let lie = br#"{"schemaVersion":1,"after":{"name":null,"version":1.0,"stock":1}}"#;
        self.warehouse_saying(number, lie).await
    }

    /// Warehouses one copy of a book with these metadata.
    pub(crate) async fn warehouse_saying(&mut self, number: u64, metadata: &'static [u8]) -> u64 {
        let (state, last) = self.books.get_mut(&number).unwrap();
        let (expected, revision) = (Expected::Revision(last.unwrap()), last.unwrap() + 1);
        let at = state.holding().unwrap().occurred_at;
        let data = json!({"bookId": number, "qty": 1, "version": 1.0, "name": null, "occurredAt": at});
        let event = NewEvent {
            id: id(number, revision),
            event_type: "Warehoused".to_owned(),
            content_type: ContentType::Json,
            data: data.to_string().into(),
            metadata: bytes::Bytes::from_static(metadata),
        };
        *last = Some(revision);
        self.client.append(&book(number).stream(), expected, vec![event]).await.unwrap().position.0
    }

    /// Takes an event out of a book's stream, and says something else of the book in the metadata.
    pub(crate) async fn skip_with_a_lie(&mut self, number: u64, revision: u64) -> u64 {
        let at = self.tick();
        let (_, last) = self.books.get_mut(&number).unwrap();
        let (expected, own) = (Expected::Revision(last.unwrap()), last.unwrap() + 1);
        *last = Some(own);
        let data = json!({"bookId": number, "revision": revision, "reason": "a mistake", "occurredAt": at});
        let event = NewEvent {
            id: id(number, own),
            event_type: "Skipped".to_owned(),
            content_type: ContentType::Json,
            data: data.to_string().into(),
            metadata: bytes::Bytes::from_static(
                br#"{"schemaVersion":1,"after":{"name":null,"version":1.0,"stock":77}}"#,
            ),
        };
        self.client.append(&book(number).stream(), expected, vec![event]).await.unwrap().position.0
    }

    /// Warehouses a copy of each of so many books, so often, with few appends.
    pub(crate) async fn warehouse_many(&mut self, books: u64, times: u64) -> u64 {
        let mut last = 0;
        for number in 1..=books {
            let mut commands = Vec::new();
            for _ in 0..times {
                commands.push(Warehouse {
                    book_id: book(number),
                    qty: 1.try_into().unwrap(),
                    version: None,
                    name: None,
                    default_name: None,
                    at: self.tick(),
                });
            }
            last = self.all(number, &commands).await;
        }
        last
    }

    /// Warehouses so many copies of a book that exists, one by one, with few appends.
    pub(crate) async fn warehouse_many_more(&mut self, number: u64, times: u64) -> u64 {
        let warehouse = |at| Warehouse {
            book_id: book(number),
            qty: 1.try_into().unwrap(),
            version: None,
            name: None,
            default_name: None,
            at,
        };
        let commands: Vec<_> = (0..times).map(|_| warehouse(self.tick())).collect();
        self.all(number, &commands).await
    }

    fn tick(&mut self) -> Timestamp {
        self.seconds += 1;
        Timestamp::from_unix_micros(1_700_000_000_000_000 + self.seconds * 1_000_000).unwrap()
    }

    async fn book(&mut self, number: u64, command: &impl Decide<State = Book>) -> u64 {
        self.all(number, std::slice::from_ref(command)).await
    }

    async fn all(&mut self, number: u64, commands: &[impl Decide<State = Book>]) -> u64 {
        let (state, last) = self.books.entry(number).or_default();
        let expected = last.map_or(Expected::NoStream, Expected::Revision);
        let mut events = Vec::new();
        for event in commands.iter().flat_map(|command| command.decide(state).unwrap()).collect::<Vec<_>>() {
            *state = std::mem::take(state).evolve(&event);
            let revision = last.map_or(0, |last| last + 1);
            *last = Some(revision);
            let metadata = Metadata {
                schema_version: 1,
                after: state.after(),
                idempotency_key: format!("key-{number}-{revision}"),
                command_hash: "0".repeat(64),
                actor: Some("4f2b".to_owned()),
                correlation_id: format!("req-{number}-{revision}"),
                causation_id: format!("req-{number}-{revision}"),
                traceparent: None,
                more_in_append: 0,
            };
            let (event_type, data) = Book::encode(&event);
            events.push(NewEvent {
                id: id(number, revision),
                event_type: event_type.to_owned(),
                content_type: ContentType::Json,
                data: data.into(),
                metadata: serde_json::to_vec(&metadata).unwrap().into(),
            });
        }
        self.client.append(&book(number).stream(), expected, events).await.unwrap().position.0
    }
}

/// A client that waits as long as the disk of the store does.
pub(crate) fn client(store: &Store) -> Kurrent {
    Kurrent::connect(&store.url(), Options { call_timeout: PATIENCE, ..Options::default() }).unwrap()
}

fn book(number: u64) -> BookId {
    number.try_into().unwrap()
}

/// The id of an event; the same in every run.
pub(crate) fn id(number: u64, revision: u64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{number}/{revision}").as_bytes())
}

/// What the tool did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Its answer as JSON; it has to have ended with `code`.
    #[track_caller]
    pub(crate) fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its answer for people; it has to have ended with `code`.
    #[track_caller]
    pub(crate) fn text(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        &self.out
    }

    /// What it complained of, in one line; it has to have ended with `code`.
    #[track_caller]
    pub(crate) fn complaint(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.err.trim().lines().count(), 1, "{self:?}");
        self.err.trim()
    }
}

/// A command that runs the tool, with nothing of our own environment that would configure it.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replay"));
    for variable in ["EVENT_STORE_URL", "DATABASE_URL", "RUST_LOG", "LOG_FORMAT"] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the tool on these stores until it ends.
pub(crate) async fn replay(store: &str, database: Option<&str>, arguments: &[&str]) -> Ran {
    let mut command = command(arguments);
    command.env("EVENT_STORE_URL", store);
    if let Some(database) = database {
        command.env("DATABASE_URL", database);
    }
    run(command).await
}

/// Starts the tool on these stores, to be watched while it works.
pub(crate) fn start(store: &str, database: Option<&str>, arguments: &[&str]) -> Child {
    let mut command = command(arguments);
    command.env("EVENT_STORE_URL", store).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(database) = database {
        command.env("DATABASE_URL", database);
    }
    command.spawn().unwrap()
}

/// Sends a signal.
pub(crate) fn signal(tool: &Child, signal: Signal) {
    kill_process(Pid::from_child(tool), signal).unwrap();
}

/// Waits until it has ended.
pub(crate) async fn ended(tool: Child) -> Ran {
    tokio::task::spawn_blocking(move || Ran::of(tool.wait_with_output().unwrap())).await.unwrap()
}

/// Runs a command until it ends, without holding up the test's own tasks.
pub(crate) async fn run(mut command: Command) -> Ran {
    tokio::task::spawn_blocking(move || Ran::of(command.output().unwrap())).await.unwrap()
}

/// The same JSON without what differs from run to run.
pub(crate) fn without(mut value: Value, fields: &[&str]) -> Value {
    match &mut value {
        Value::Object(object) => {
            for field in fields {
                object.remove(*field);
            }
            for inner in object.values_mut() {
                *inner = without(inner.take(), fields);
            }
        }
        Value::Array(array) => {
            for inner in array {
                *inner = without(inner.take(), fields);
            }
        }
        _ => {}
    }
    value
}

/// What a book is said to be.
pub(crate) fn after(name: &str, version: f64, stock: u64) -> Value {
    json!({"name": name, "version": version, "stock": stock})
}

/// Longer than anything takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A projector in this process.
pub(crate) struct Projecting {
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Projecting {
    pub(crate) fn start(library: &Library, database: &str) -> Self {
        let shutdown = CancellationToken::new();
        let arguments = ["x", "--event-store-url", &library.store.url(), "--database-url", database];
        let settings = Projector::try_parse_from(arguments).unwrap().settings;
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { projector::run(settings, &Health::default(), stop).await });
        Self { shutdown, task }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

#[derive(clap::Parser)]
struct Projector {
    #[command(flatten)]
    settings: projector::Settings,
}

/// Projects everything up to `position`, and ends.
pub(crate) async fn project(library: &Library, database: &str, position: u64) {
    let projecting = Projecting::start(library, database);
    let reader = Reader::new(database, ReaderOptions::default()).unwrap();
    reader.wait_for(position, PATIENCE).await.unwrap();
    projecting.stop().await;
}

/// Runs statements as the owner of the database.
pub(crate) async fn sql(database: &str, statements: &str) {
    connect(database).await.batch_execute(statements).await.unwrap();
}

/// A connection to the database.
pub(crate) async fn connect(database: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(database, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Waits until a query finds something.
pub(crate) async fn until_there_is(client: &tokio_postgres::Client, query: &str) -> tokio_postgres::Row {
    let started = Instant::now();
    loop {
        if let Some(row) = client.query_opt(query, &[]).await.unwrap() {
            return row;
        }
        assert!(started.elapsed() < PATIENCE, "nothing came of: {query}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A library of two books, projected, and its database.
pub(crate) async fn projected(name: &str) -> (Library, String) {
    let (mut library, database) = (Library::start(), cluster::database(name).await);
    library.warehouse(1, 123).await;
    library.warehouse(2, 5).await;
    library.warehouse(1, 7).await;
    let last = library.renew(1).await;
    project(&library, &database, last).await;
    (library, database)
}
