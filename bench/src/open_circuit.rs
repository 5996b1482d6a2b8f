//! How soon a command is turned away while the event store hangs and the circuit before it is open.

use crate::commands::warehouse;
use crate::http::{Connection, Question};
use crate::load::{Call, Span, closed_loop};
use crate::process::Process;
use crate::report::Report;
use anyhow::ensure;
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use std::net::SocketAddr;

const WHAT: &str = "turned away, circuit open";

/// How many callers are turned away at once.
const CALLERS: [usize; 2] = [1, 64];

/// A caller who has to be told at once to come back later.
struct TurnedAway {
    connection: Connection,
    question: Question,
}

impl Call for TurnedAway {
    async fn call(&mut self) -> anyhow::Result<()> {
        let response = self.connection.send(&self.question).await?;
        let (status, told) = (response.status(), response.headers().contains_key(RETRY_AFTER));
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE && told, "turned away with {status}");
        http_body_util::BodyExt::collect(response.into_body()).await?;
        Ok(())
    }
}

/// Freezes `store`, the event store of the command API at `addr`, and asks for commands until it goes on.
pub(crate) async fn measure(
    report: &mut Report,
    span: Span,
    addr: SocketAddr,
    store: &Process,
) -> anyhow::Result<()> {
    store.freeze()?;
    let mut connection = Connection::open(addr).await?;
    while !is_open(&mut connection).await? {
        connection.ask(&warehouse(1)?).await?;
    }
    for callers in CALLERS {
        let mut turned_away = Vec::new();
        for caller in 0..callers {
            let (connection, question) = (Connection::open(addr).await?, warehouse(caller + 1)?);
            turned_away.push(TurnedAway { connection, question });
        }
        report.add(WHAT, callers, closed_loop(turned_away, span, &[]).await?);
    }
    store.thaw()
}

async fn is_open(connection: &mut Connection) -> anyhow::Result<bool> {
    let (_, metrics) = connection.ask(&Question::get("/metrics")?).await?;
    Ok(String::from_utf8_lossy(&metrics).contains(r#"event_store_circuit{position="closed"} 0"#))
}
