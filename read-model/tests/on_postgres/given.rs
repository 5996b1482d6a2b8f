//! What the tests begin with: a database with its first generation, and events.

use crate::cluster;
use domain::Timestamp;
use domain::book::{BookEvent, BookId, Corrected, Renewed, Warehoused};
use read_model::admin_list::{self, AdminList};
use read_model::batch::{ApplyError, Batch, apply};
use read_model::book_history::BookHistory;
use read_model::book_stock::{self, BookStock};
use read_model::database::Connection;
use read_model::generation::active_or_first;
use read_model::lease::{Checkpoint, Lease, WRITER_SETTINGS};
use read_model::sift::Gaps;
use read_model::view::AnyView;
use read_model::{
    Database, Filter, Happening, ListRequest, Place, Reader, ReaderOptions, Way, Writers, migrate,
};
use std::time::{Duration, Instant};
use uuid::Uuid;

pub(crate) const VIEWS: &[&dyn AnyView] = &[&BookStock, &AdminList, &BookHistory];

pub(crate) const TERM: Duration = Duration::from_secs(60);

/// A database whose first generation serves.
pub(crate) async fn read_models(name: &str) -> String {
    let url = cluster::database(name).await;
    set_up(&url).await;
    url
}

pub(crate) async fn set_up(url: &str) {
    migrate(url).await.unwrap();
    let generation = active_or_first(&mut connect(url).await, VIEWS).await.unwrap();
    assert_eq!(generation.number, 1);
}

pub(crate) async fn connect(url: &str) -> Connection {
    let database: Database = url.parse().unwrap();
    database.connect("tests", WRITER_SETTINGS).await.unwrap()
}

/// Runs statements of the test's own, as the owner of the database.
pub(crate) async fn sql(url: &str, statements: &str) {
    client(url).await.batch_execute(statements).await.unwrap();
}

/// A connection for statements of the test's own.
pub(crate) async fn client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Waits until somebody waits for a lock.
pub(crate) async fn somebody_waits(url: &str) {
    let client = client(url).await;
    let waits =
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(60);
    while client.query(waits, &[]).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "nobody waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An owner of the first generation.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) lease: Lease,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) writers: Writers,
}

impl Writer {
    pub(crate) async fn take(url: &str, owner: &str) -> Self {
        let connection = connect(url).await;
        let taken = Lease::take(&connection, 1, owner, TERM).await.unwrap();
        let (lease, checkpoint) = taken.expect("nobody else holds the lease");
        Self { connection, lease, checkpoint, writers: Writers::of(VIEWS, Way::Statement) }
    }

    pub(crate) async fn apply(&mut self, batch: &[Happening]) -> Result<(), ApplyError> {
        let Self { connection, lease, checkpoint, writers } = self;
        let applied = apply(connection, lease, *checkpoint, &readable(batch), Gaps::Refuse, writers).await?;
        self.checkpoint = applied.checkpoint;
        Ok(())
    }
}

pub(crate) fn readable(events: &[Happening]) -> Batch {
    Batch { happenings: events.to_vec(), unreadable: Vec::new() }
}

pub(crate) fn reader(url: &str) -> Reader {
    Reader::new(url, ReaderOptions::default()).unwrap()
}

/// All rows of both views.
pub(crate) async fn rows(url: &str) -> (Vec<book_stock::Row>, Vec<admin_list::Row>) {
    let reader = reader(url);
    let request =
        ListRequest { filter: Filter::default(), sort: vec![], place: Place::Page(0), size: 10_000 };
    let stocks = book_stock::list(&reader, &request).await;
    let admins = admin_list::list(&reader, &request).await;
    (stocks.unwrap().value.rows, admins.unwrap().value.rows)
}

pub(crate) fn book(number: u64) -> BookId {
    BookId::try_from(number).unwrap()
}

/// So many seconds into the tests' time, and a microsecond that must not be lost.
pub(crate) fn at(second: u64) -> Timestamp {
    let micros = 1_700_000_000_000_001 + i64::try_from(second).unwrap() * 1_000_000;
    Timestamp::from_unix_micros(micros).unwrap()
}

pub(crate) fn warehoused(number: u64, qty: u64, version: &str, name: Option<&str>) -> BookEvent {
    BookEvent::Warehoused(Warehoused {
        book_id: book(number),
        qty: qty.try_into().unwrap(),
        version: version.parse().unwrap(),
        name: name.map(|name| name.parse().unwrap()),
        occurred_at: at(0),
    })
}

pub(crate) fn renewed(number: u64, version: &str) -> BookEvent {
    BookEvent::Renewed(Renewed {
        book_id: book(number),
        version: version.parse().unwrap(),
        stock: 100,
        occurred_at: at(1),
    })
}

pub(crate) fn corrected(number: u64, qty_delta: i64) -> BookEvent {
    BookEvent::Corrected(Corrected {
        book_id: book(number),
        qty_delta: qty_delta.try_into().unwrap(),
        reason: "miscounted".parse().unwrap(),
        occurred_at: at(2),
    })
}

/// The events as they come from a store: positions from 10 on in steps of 3, revisions from 0 in each stream.
pub(crate) fn happenings(events: impl IntoIterator<Item = BookEvent>) -> Vec<Happening> {
    let mut next = std::collections::HashMap::new();
    let placed = |(index, event): (u64, BookEvent)| {
        let next: &mut u64 = next.entry(event.book_id()).or_default();
        let revision = *next;
        *next += 1;
        let position = 10 + 3 * index;
        let event_id = Uuid::from_u128(position.into());
        let provenance = domain::metadata::Provenance::default();
        Happening { book_id: event.book_id(), revision, position, event, event_id, provenance }
    };
    (0..).zip(events).map(placed).collect()
}
