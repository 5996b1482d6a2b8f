//! What is asked over plain HTTP, on the same port as the calls: health, metrics, and what kind of server this is.

use crate::log::Log;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use service_kit::{Auth, Health, Limits, edge};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The name under which this service shows its metrics.
pub(crate) const SERVICE: &str = "event-store";

#[derive(Clone, Debug)]
struct Facts {
    log: Log,
    health: Health,
    authentication: &'static str,
    since: Instant,
}

/// The routes: `/livez`, `/readyz`, `/metrics` as on every service; `/health/live` and `/health/ready` as the protocol's
/// server answers them, without a body; `/info` and `/stats`.
pub(crate) fn routes(log: Log, health: &Health, authentication: &'static str) -> Router {
    let facts = Facts { log, health: health.clone(), authentication, since: Instant::now() };
    let routes = Router::new()
        .route("/health/live", get(|| async { StatusCode::NO_CONTENT }))
        .route("/health/ready", get(ready))
        .route("/info", get(info))
        .route("/stats", get(stats))
        .with_state(facts);
    // They tell nothing that is secret: calls are what users are asked for.
    edge::around(SERVICE, routes.into(), health, &Auth::of_its_own(), &Limits::default())
}

/// Whether events are accepted: until the log stops or the server is told to. Whoever got to know by an answer that the
/// log has stopped finds it said here, too.
pub(crate) fn accepts(log: &Log, shutdown: &CancellationToken) -> Result<(), String> {
    match &*log.stopped().borrow() {
        Some(reason) => Err(format!("it accepts no event until it is restarted: {reason}")),
        None if shutdown.is_cancelled() => Err("it is shutting down".to_owned()),
        None => Ok(()),
    }
}

async fn ready(State(facts): State<Facts>) -> StatusCode {
    if facts.health.is_ready() { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn info(State(facts): State<Facts>) -> Json<Value> {
    Json(json!({
        "name": "event-store-server",
        "version": env!("CARGO_PKG_VERSION"),
        "esVersion": crate::rpc::COMPATIBLE_WITH,
        "state": "leader",
        "storeId": facts.log.id().to_string(),
        "features": {"projections": false, "persistentSubscriptions": false, "userManagement": false},
        "authentication": {"type": facts.authentication},
    }))
}

async fn stats(State(facts): State<Facts>) -> Json<Value> {
    let stats = facts.log.stats();
    Json(json!({
        "uptimeSeconds": facts.since.elapsed().as_secs(),
        "lastPosition": *facts.log.committed().borrow(),
        "changes": stats.changes,
        "eventsAppended": stats.events,
        "commits": stats.commits,
        "subscriptions": stats.subscriptions,
        "databaseBytes": stats.database_bytes,
        "writeAheadLogBytes": stats.write_ahead_log_bytes,
        "stopped": *facts.log.stopped().borrow(),
    }))
}
