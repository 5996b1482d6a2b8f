//! The query side over HTTP: every answer is one snapshot of the read models, and says how far they are.
//!
//! Absent on purpose: the event store and the rules of the business (an answer comes from the read models alone), any
//! way to write (the database role cannot), and any SQL (it is with the views).
#![forbid(unsafe_code)]

mod headers;
mod http;
mod page;
mod problem;
mod settings;

use anyhow::Context as _;
pub use page::{page, page_behind_gateway};
use read_model::{Reader, ReaderOptions};
use service_kit::metrics::Histogram;
use service_kit::openapi::Whole;
use service_kit::{Health, Routes};
pub use settings::Settings;
use tokio_util::sync::CancellationToken;

static POOL_WAIT: Histogram<0> = Histogram::new(
    "database_pool_wait_seconds",
    "How long queries waited for a connection to PostgreSQL, those that waited in vain too.",
    [],
);

/// The routes of the query side. From here until `shutdown` the check `database` of `health` follows the database; it
/// is asked once before this returns. That it is down now is no error. Call it inside a tokio runtime.
///
/// # Errors
/// When the database's address cannot be understood.
pub async fn routes(
    settings: &Settings,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<Routes> {
    let Settings { pool_size, memory_books, .. } = *settings;
    let options = ReaderOptions {
        pool_size,
        memory_books,
        waited: |waited| POOL_WAIT.of([]).record(waited),
        ..ReaderOptions::default()
    };
    let reader = Reader::new(settings.url(), options).context("READ_DATABASE_URL or DATABASE_URL")?;
    let check = health.check("database");
    let asked = reader.clone();
    let ask = async move || asked.ping().await.map(drop);
    check.ask_once(&ask).await;
    tokio::spawn(check.follow(ask, shutdown.clone()));
    Ok(http::routes(reader, shutdown))
}

/// The document of the gateway that the librarian's page is served through: that of the commands too, which only a gateway has
/// beside these routes.
///
/// # Errors
/// When this was built with a document that is none.
pub fn whole() -> anyhow::Result<Whole> {
    Whole::read(include_str!("../../docs/openapi.json")).context("docs/openapi.json")
}
