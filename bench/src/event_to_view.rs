//! How long it takes from the answer to a command until a query shows it.

use crate::commands::warehouse;
use crate::http::{Connection, Question};
use crate::load::Span;
use crate::round::{self, Meter, Round};
use crate::system::{Acknowledged, System};
use std::time::{Duration, Instant};

/// The pause before each command: time enough for all that the last one woke to be asleep again.
const IDLE: Duration = Duration::from_millis(25);

/// Warehouses, then asks for the book with the position that came back, again and again for the span.
pub(crate) async fn measure(system: &System, span: Span) -> anyhow::Result<Round> {
    let mut commands = Connection::open(system.command_api).await?;
    let mut queries = Connection::open(system.query_api).await?;
    let warehouse = warehouse(1)?;
    let mut latencies = round::latencies()?;
    let servers = [system.server()];
    let meter = Meter::start(&servers)?;
    let started = Instant::now();
    while started.elapsed() < span.measured {
        tokio::time::sleep(IDLE).await;
        let booked: Acknowledged = commands.ask_json(&warehouse).await?;
        let seen = Question::get(&format!("/books/1?minPosition={}", booked.position))?;
        let acknowledged = Instant::now();
        queries.ask_json::<serde::de::IgnoredAny>(&seen).await?;
        round::record(&mut latencies, acknowledged.elapsed());
    }
    meter.stop(latencies.len(), Some(latencies))
}
