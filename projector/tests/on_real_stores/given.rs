//! What the tests begin with, and how they look at what comes of it.

use crate::store::Store;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use domain::Timestamp;
use domain::book::{BookEvent, BookId, Renewed, Skipped, Warehoused};
use projector::Settings;
use read_model::lease::WRITER_SETTINGS;
use read_model::parked::{self, Parked};
use read_model::{
    Database, Filter, ListRequest, Place, Reader, ReaderOptions, admin_list, book_stock, generation,
};
use service_kit::Health;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Longer than anything takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A projector in this process.
pub(crate) struct Running {
    health: Health,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub(crate) fn start(store: &Store, database_url: &str) -> Self {
        Self::start_as(None, store.url(), database_url)
    }

    /// One that may have a name which another has too, and hears of the store over any address.
    pub(crate) fn start_as(owner: Option<&str>, event_store_url: String, database_url: &str) -> Self {
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let settings = Settings {
            event_store_url,
            database_url: database_url.to_owned(),
            batch_events: 500,
            lease_owner: owner.map(str::to_owned),
        };
        let (checked, stop) = (health.clone(), shutdown.clone());
        let task = tokio::spawn(async move { projector::run(settings, &checked, stop).await });
        Self { health, shutdown, task }
    }

    /// The answer to `GET /readyz`.
    pub(crate) async fn readiness(&self) -> String {
        let request = Request::get("/readyz").body(Body::empty()).unwrap();
        let answer = self.health.routes().oneshot(request).await.unwrap();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// Before it has registered its checks, a projector is not ready.
    pub(crate) async fn is_ready(&self) -> bool {
        self.readiness().await.contains("projection") && self.health.is_ready()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap().unwrap();
    }

    /// Ends it as a crash would: no lease is handed back.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// A connection that ends with the test.
pub(crate) async fn connect(database: &str) -> tokio_postgres::Client {
    let (client, wire) = tokio_postgres::connect(database, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(wire);
    client
}

/// What the database answers. One whose disk keeps it waiting refuses for a moment, and is asked again.
async fn answer<T, E: std::fmt::Display>(ask: impl AsyncFn() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "no answer: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// All streams that wait.
pub(crate) async fn all_parked(url: &str) -> Vec<Parked> {
    let database: Database = url.parse().unwrap();
    answer(async || parked::list(&database.connect("test", WRITER_SETTINGS).await?).await).await
}

/// Where each generation stands.
pub(crate) async fn positions(url: &str) -> Vec<u64> {
    let database: Database = url.parse().unwrap();
    let listed =
        answer(async || generation::list(&database.connect("test", WRITER_SETTINGS).await?).await).await;
    listed.iter().map(|one| one.position).collect()
}

pub(crate) fn reader(database_url: &str) -> Reader {
    Reader::new(database_url, ReaderOptions::default()).unwrap()
}

pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "it never came to be that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The stocks of all books, the same in both views.
pub(crate) async fn stocks(reader: &Reader) -> Vec<(u64, u32)> {
    let request =
        ListRequest { filter: Filter::default(), sort: vec![], place: Place::Page(0), size: 10_000 };
    loop {
        let stocks = answer(async || book_stock::list(reader, &request).await).await;
        let admins = answer(async || admin_list::list(reader, &request).await).await;
        if stocks.state() != admins.state() {
            // Events came in between.
            continue;
        }
        let stocks: Vec<_> = stocks.value.rows.iter().map(|row| (row.book_id.get(), row.stock)).collect();
        let admins: Vec<_> =
            admins.value.rows.iter().map(|row| (row.book_id.get(), row.book_stock)).collect();
        assert_eq!(stocks, admins);
        return stocks;
    }
}

fn book(number: u64) -> BookId {
    number.try_into().unwrap()
}

pub(crate) async fn warehouse(store: &Store, number: u64, quantities: &[u64]) -> u64 {
    let warehoused = |qty: &u64| {
        encoded(&BookEvent::Warehoused(Warehoused {
            book_id: book(number),
            qty: (*qty).try_into().unwrap(),
            version: "1.0".parse().unwrap(),
            name: None,
            occurred_at: Timestamp::default(),
        }))
    };
    store.append(&book(number).stream(), quantities.iter().map(warehoused).collect()).await
}

pub(crate) async fn renew(store: &Store, number: u64) -> u64 {
    let renewed = BookEvent::Renewed(Renewed {
        book_id: book(number),
        version: "2.0".parse().unwrap(),
        stock: 100,
        occurred_at: Timestamp::default(),
    });
    store.append(&book(number).stream(), vec![encoded(&renewed)]).await
}

/// Takes an event of the book out of it, as the replay tool does.
pub(crate) async fn skip(store: &Store, number: u64, revision: u64) -> u64 {
    let skipped = BookEvent::Skipped(Skipped {
        book_id: book(number),
        revision,
        reason: "a test".parse().unwrap(),
        occurred_at: Timestamp::default(),
    });
    store.append(&book(number).stream(), vec![encoded(&skipped)]).await
}

fn encoded(event: &BookEvent) -> (String, Vec<u8>) {
    let (event_type, data) = event.encode();
    (event_type.to_owned(), data)
}

/// Appends an event that nobody can apply to the stream of the book it is of.
pub(crate) async fn append_poison(store: &Store, book: u64, kind: usize) -> u64 {
    let (event_type, data, metadata) = poison(book).swap_remove(kind);
    store.append_with(&self::book(book).stream(), vec![(event_type, data)], metadata).await
}

/// Twenty kinds of events that nobody can apply: type, data and metadata.
pub(crate) fn poison(book: u64) -> Vec<(String, Vec<u8>, &'static [u8])> {
    let good =
        format!(r#"{{"bookId":{book},"version":2.0,"stock":100,"occurredAt":"2021-02-24T11:33:40Z"}}"#);
    let with = |from: &str, to: &str| good.replace(from, to).into_bytes();
    let named = |name: &str| (name.to_owned(), good.clone().into_bytes(), &b"{}"[..]);
    let renewed = |data: Vec<u8>| ("Renewed".to_owned(), data, &b"{}"[..]);
    let versioned = |metadata: &'static [u8]| ("Renewed".to_owned(), good.clone().into_bytes(), metadata);
    vec![
        named("Shredded"),
        named("renewed"),
        named("Warehoused"),
        versioned(br#"{"schemaVersion":2}"#),
        versioned(br#"{"schemaVersion":0}"#),
        renewed(Vec::new()),
        renewed(good.as_bytes()[..good.len() - 1].to_vec()),
        renewed(b"\xff\xfe".to_vec()),
        renewed(b"{}".to_vec()),
        renewed(b"null".to_vec()),
        renewed(with("100", "-1")),
        renewed(with("100", "1e999")),
        renewed(with("100", "\"100\"")),
        renewed(with("100", "18446744073709551616")),
        renewed(with("2.0", "0")),
        renewed(with("2.0", "1.005")),
        renewed(with("2021-02-24T11:33:40Z", "yesterday")),
        renewed(with("\"stock\":100,", "")),
        renewed(with(&format!("\"bookId\":{book}"), "\"bookId\":0")),
        renewed(with(&format!("\"bookId\":{book}"), "\"bookId\":999")),
    ]
}
