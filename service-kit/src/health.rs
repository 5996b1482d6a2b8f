//! `/livez` and `/readyz`.
//!
//! Alive means that the process answers; a sick dependency is no reason to restart it. Ready means that every
//! registered check holds, so that a balancer sends it work.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, json};
use std::sync::{Arc, Mutex, PoisonError};

/// The readiness of one process: a short list of named checks that its parts keep up to date.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<Mutex<Vec<(&'static str, Standing)>>>,
}

#[derive(Clone, Debug)]
struct Standing {
    ready: bool,
    detail: String,
}

/// One named part of a process's readiness.
#[derive(Clone, Debug)]
pub struct Check {
    health: Health,
    name: &'static str,
}

impl Health {
    /// Registers the check `name`, not ready until told otherwise.
    #[must_use]
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check { health: self.clone(), name };
        check.set(false, "starting");
        check
    }

    /// Whether every check holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.snapshot().iter().all(|(_, standing)| standing.ready)
    }

    /// `GET /livez` and `GET /readyz` (200 or 503, with a JSON object naming every check).
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/livez", get(|| async { Json(json!({"status": "alive"})) }))
            .route("/readyz", get(readyz))
            .with_state(self.clone())
    }

    fn snapshot(&self) -> Vec<(&'static str, Standing)> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Check {
    /// The part can do its work.
    pub fn ready(&self) {
        self.ready_as("ok");
    }

    /// The part can do its work, in the way that `detail` tells the operator.
    pub fn ready_as(&self, detail: &str) {
        self.set(true, detail);
    }

    /// The part cannot; `why` is shown to the operator.
    pub fn not_ready(&self, why: &str) {
        self.set(false, why);
    }

    fn set(&self, ready: bool, detail: &str) {
        let mut checks = self.health.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = Standing { ready, detail: detail.to_owned() };
        match checks.iter_mut().find(|(name, _)| *name == self.name) {
            Some((_, known)) => {
                if known.ready != ready {
                    tracing::info!(check = self.name, ready, detail, "readiness changed");
                }
                *known = standing;
            }
            None => checks.push((self.name, standing)),
        }
    }
}

async fn readyz(State(health): State<Health>) -> Response {
    let checks = health.snapshot();
    let ready = checks.iter().all(|(_, standing)| standing.ready);
    let parts: Map<_, _> = checks
        .into_iter()
        .map(|(name, standing)| {
            (name.to_owned(), json!({"ready": standing.ready, "detail": standing.detail}))
        })
        .collect();
    let body = Json(json!({"status": if ready { "ready" } else { "not-ready" }, "checks": parts}));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt as _;

    async fn status(health: &Health, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        health.routes().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_process_is_ready_when_all_its_checks_hold_and_alive_in_any_case() {
        let health = Health::default();
        let (store, database) = (health.check("event-store"), health.check("database"));
        store.ready();
        assert_eq!(status(&health, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        database.ready();
        assert_eq!(status(&health, "/readyz").await, StatusCode::OK);
        store.not_ready("connection refused");
        assert_eq!(status(&health, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&health, "/livez").await, StatusCode::OK);
    }
}
