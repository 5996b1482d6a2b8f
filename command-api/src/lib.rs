//! The command side over HTTP and gRPC: a command comes in, one loop decides it on the book's own stream, an event goes to
//! the event store, and the answer tells what the book is after it.
//!
//! Absent on purpose: the read models (an answer comes from the stream alone), any rule of the business (they are in
//! `domain`), and a second place that appends (there is only `transact`).
#![forbid(unsafe_code)]

mod history;
mod identity;
mod inbound;
mod intention;
mod recent;
mod settings;
mod sick;
mod transact;

use anyhow::Context as _;
use domain::book::{Book, BookName};
use event_store::{EventStore as _, Kurrent, Options};
use inbound::Desk;
use service_kit::edge::Calls;
use service_kit::metrics::Counter;
use service_kit::{Health, Routes};
pub use settings::Settings;
use sick::Guarded;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use transact::Transact;

static RETRIES: Counter<0> = Counter::new(
    "event_store_retries_total",
    "Appends and reads that were sent to the event store once more, because the answer to them was lost or late.",
    [],
);

/// What the store may take of the whole deadline of a command: the rest is for finding out what its failure means.
const STORE_SHARE: f64 = 0.9;

/// What a name takes besides its text: two counts, and what the allocator adds.
const NAME_OVERHEAD_BYTES: usize = 32;

/// The ways in for commands.
pub struct WaysIn {
    /// Over HTTP.
    pub http: Routes,
    /// Over gRPC.
    pub grpc: Calls,
}

/// Opens the command side. From here until `shutdown` the check `event-store` of `health` follows the store;
/// that it is down now is no error. Call it inside a tokio runtime.
///
/// # Errors
/// When the event store's address cannot be understood.
pub fn open(settings: &Settings, health: &Health, shutdown: CancellationToken) -> anyhow::Result<WaysIn> {
    let deadline = Duration::from_millis(settings.store_timeout_ms);
    // It is shown before the first one, too: a rate needs a beginning.
    RETRIES.of([]).increment(0);
    let options = Options {
        call_timeout: deadline.mul_f64(STORE_SHARE),
        trying_again: || RETRIES.of([]).increment(1),
        ..Options::default()
    };
    let store = Kurrent::connect(&settings.event_store_url, options).context("EVENT_STORE_URL")?;
    let store = Guarded::new(store);
    let asked = store.clone();
    tokio::spawn(health.check("event-store").follow(async move || asked.ping().await, shutdown));
    let budget_bytes = usize::try_from(settings.book_cache_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
    let circuit = store.circuit();
    let transact = Transact::new(store, circuit, deadline, budget_bytes, heap_bytes);
    let desk = Arc::new(Desk::new(transact, settings.name.clone()));
    let grpc = inbound::grpc::calls(Arc::clone(&desk), health.clone())
        .context("the definition of the gRPC service")?;
    Ok(WaysIn { http: inbound::http::routes(desk), grpc })
}

/// What a cached book holds outside of itself.
fn heap_bytes(book: &Book) -> usize {
    book.holding()
        .and_then(|holding| holding.name.as_ref())
        .map_or(0, |name: &BookName| name.as_str().len() + NAME_OVERHEAD_BYTES)
}
