//! A library whose read models are written here, as the projector would, and the query side that shows them.

use crate::cluster;
use query_api::Settings;
use read_model::admin_list::AdminList;
use read_model::book_history::BookHistory;
use read_model::book_stock::BookStock;
use read_model::view::AnyView;
use read_model::{Database, generation, lease};
use reqwest::header::HeaderMap;
use serde_json::Value;
use service_kit::{Auth, Health, Limits, edge, listen};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_postgres::NoTls;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Library {
    pub(crate) database_url: String,
    pub(crate) query_api: QueryApi,
}

/// The query side in this process. It stops with this value.
pub(crate) struct QueryApi {
    pub(crate) base: String,
    client: reqwest::Client,
    _stop: DropGuard,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Library {
    /// A library in a database of its own, with no book yet.
    pub(crate) async fn empty(name: &str) -> Self {
        Self::in_database(cluster::database(name).await).await
    }

    pub(crate) async fn in_database(database_url: String) -> Self {
        read_model::migrate(&database_url).await.unwrap();
        let database: Database = database_url.parse().unwrap();
        let mut connection = database.connect("test", lease::WRITER_SETTINGS).await.unwrap();
        let views: &[&dyn AnyView] = &[&BookStock, &AdminList, &BookHistory];
        generation::active_or_first(&mut connection, views).await.unwrap();
        let query_api = QueryApi::start(&database_url).await;
        Self { database_url, query_api }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.query_api.get(path, &[]).await
    }

    /// Puts books into both views, as one transaction that moves on to `position`. Each book is its id, name, version
    /// and stock, as SQL.
    pub(crate) async fn put(&self, position: u64, books: &[&str]) {
        let rows: Vec<_> = books.iter().map(|book| format!("({book})")).collect();
        self.put_all(position, &format!("VALUES {}", rows.join(", "))).await;
    }

    /// The same for the rows of a query.
    pub(crate) async fn put_all(&self, position: u64, books: &str) {
        self.sql(&format!("{}; NOTIFY bookstock_position, '{position}'", moved_on(position, books))).await;
        // A database that stands still for a moment answers 503.
        eventually(&self.query_api, &format!("/books?size=1&minPosition={position}&wait=10000"), 200).await;
    }

    /// The same, but nobody is told.
    pub(crate) async fn put_silently(&self, position: u64, book: &str) {
        self.sql(&moved_on(position, &format!("VALUES ({book})"))).await;
    }

    /// Puts the read models back to an earlier position, as a crash that lost their last moments does, and waits until
    /// that is seen.
    pub(crate) async fn lose_moments(&self, position: u64) {
        self.sql(&format!("UPDATE bookstock.projection SET position = {position}")).await;
        self.query_api.stands_at(position).await;
    }

    /// From now on the rows of these books, such as `book > 5`, cannot be read while somebody holds the advisory lock 42.
    /// Their table is `rm_1.all_books`.
    pub(crate) async fn hold_back(&self, books: &str) {
        let statements = format!(
            "CREATE FUNCTION public.readable(book bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
                IF {books} THEN PERFORM pg_advisory_xact_lock_shared(42); END IF;
                RETURN true;
            END $$;
            ALTER TABLE rm_1.book_stock RENAME TO all_books;
            CREATE VIEW rm_1.book_stock AS SELECT * FROM rm_1.all_books WHERE public.readable(book_id);
            GRANT SELECT ON rm_1.book_stock TO bookstock_reader"
        );
        self.sql(&statements).await;
    }

    pub(crate) async fn sql(&self, statements: &str) {
        let (client, connection) = tokio_postgres::connect(&self.database_url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(statements).await.unwrap();
    }
}

/// A name as it is searched, near enough for names in lower case.
const SEARCH: &str = "coalesce(replace(name, ' ', ''), '')";

fn moved_on(position: u64, books: &str) -> String {
    format!(
        "BEGIN;
         CREATE TEMPORARY TABLE book ON COMMIT DROP AS
            SELECT * FROM ({books}) AS book (id, name, version, stock);
         INSERT INTO rm_1.book_stock (book_id, name, search, version, stock, revision, position, occurred_at)
            SELECT id, name, {SEARCH}, version, stock, 0, {position}, '2026-11-24T08:05:00Z' FROM book
            ON CONFLICT (book_id) DO UPDATE SET
                name = excluded.name, search = excluded.search, version = excluded.version, stock = excluded.stock,
                revision = book_stock.revision + 1, position = excluded.position;
         INSERT INTO rm_1.admin_list
            (book_id, book_name, search, book_stock, book_version, revision, position, occurred_at)
            SELECT id, name, {SEARCH}, stock, version, 0, {position}, '2026-11-24T08:05:00Z' FROM book
            ON CONFLICT (book_id) DO UPDATE SET
                book_name = excluded.book_name, search = excluded.search,
                book_stock = excluded.book_stock, book_version = excluded.book_version,
                revision = admin_list.revision + 1, position = excluded.position;
         -- No store moves several books at one position; it is simpler to read in a test.
         ALTER TABLE rm_1.book_history DROP CONSTRAINT IF EXISTS book_history_pkey;
         INSERT INTO rm_1.book_history (position, book_id, movement, version, stock, revision, occurred_at)
            SELECT {position}, id, 'Warehoused', version, stock, 0, '2026-11-24T08:05:00Z' FROM book
            WHERE NOT EXISTS (
                SELECT FROM rm_1.book_history AS told
                WHERE (told.book_id, told.version, told.stock) = (book.id, book.version, book.stock)
            );
         UPDATE bookstock.projection SET position = {position}, event_id = gen_random_uuid();
         COMMIT"
    )
}

impl QueryApi {
    pub(crate) async fn start(database_url: &str) -> Self {
        Self::start_with(database_url, 200_000).await
    }

    /// With all books in memory up to so many.
    pub(crate) async fn start_with(database_url: &str, memory_books: usize) -> Self {
        Self::start_as("query-api", database_url, memory_books).await
    }

    /// The same under another name, by which metrics tell it from those of other tests.
    pub(crate) async fn start_as(name: &'static str, database_url: &str, memory_books: usize) -> Self {
        let database_url = database_url.to_owned();
        let settings = Settings { database_url, read_database_url: None, pool_size: 4, memory_books };
        let (health, stop) = (Health::default(), CancellationToken::new());
        let routes = query_api::routes(&settings, &health, stop.clone()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(listen::serve(
            listener,
            edge::around(name, routes, &health, &Auth::open(), &Limits::default()),
            stop.clone(),
        ));
        Self { base, client: client(), _stop: stop.drop_guard() }
    }

    /// Waits until this is the position that it answers from.
    pub(crate) async fn stands_at(&self, position: u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.get("/status", &[]).await.json();
            if status["position"].as_str() == Some(position.to_string().as_str()) {
                return;
            }
            assert!(Instant::now() < deadline, "not at {position}: {status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }
}

/// A client that asks the address itself, whatever proxy the machine is set up with.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }

    /// The answer's status and, if it is a problem document, the name of the problem.
    #[track_caller]
    pub(crate) fn outcome(&self) -> (u16, String) {
        if self.status < 400 {
            return (self.status, String::new());
        }
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        let name = problem["type"].as_str().unwrap().trim_start_matches("urn:bookstock:problem:");
        (self.status, name.to_owned())
    }
}

/// Asks again and again until `path` is answered with `status`.
pub(crate) async fn eventually(query_api: &QueryApi, path: &str, status: u16) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = query_api.get(path, &[]).await;
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path} still answers {}: {}", answer.status, answer.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
