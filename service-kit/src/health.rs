//! `/livez` and `/readyz`.
//!
//! Alive means that the process answers; a sick dependency is no reason to restart it. Ready means that every
//! registered check holds, so that a balancer sends it work; a process that was told to stop is not.

use crate::metrics::Gauge;
use crate::shutdown;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, json};
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often a part is asked, and how long its answer may take.
const PERIOD: Duration = Duration::from_secs(1);

static READY: Gauge<2> =
    Gauge::new("service_ready", "Whether a check of /readyz holds (1) or not (0).", ["service", "check"]);

/// The readiness of one process: a short list of named checks that its parts keep up to date, or are asked for.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<Mutex<Vec<(&'static str, Known)>>>,
}

/// How it is known whether a check holds.
#[derive(Clone)]
enum Known {
    Told(Standing),
    Asked(Arc<dyn Fn() -> Result<(), String> + Send + Sync>),
}

impl fmt::Debug for Known {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.standing().fmt(out)
    }
}

impl Known {
    fn standing(&self) -> Standing {
        match self {
            Self::Told(standing) => standing.clone(),
            Self::Asked(ask) => match ask() {
                Ok(()) => Standing { ready: true, detail: "ok".to_owned() },
                Err(why) => Standing { ready: false, detail: why },
            },
        }
    }
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

    /// Registers the check `name` of something that can be asked at any time, and answers at once.
    pub fn ask(&self, name: &'static str, ask: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.push((name, Known::Asked(Arc::new(ask))));
    }

    /// Whether every check holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.snapshot().iter().all(|(_, standing)| standing.ready)
    }

    /// Whether new work is welcome: every check holds, and the process was not told to stop.
    #[must_use]
    pub fn takes_work(&self) -> bool {
        self.is_ready() && !shutdown::is_stopping()
    }

    /// `GET /livez` and `GET /readyz` (200 or 503, with a JSON object naming every check).
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/livez", get(|| async { ([AT_THIS_MOMENT], Json(json!({"status": "alive"}))) }))
            .route("/readyz", get(readyz))
            .with_state(self.clone())
    }

    /// Sets the metric of each check to how it stands now.
    pub(crate) fn measure(&self, service: &'static str) {
        for (check, standing) in self.snapshot() {
            READY.of([service.into(), check.into()]).set(f64::from(u8::from(standing.ready)));
        }
    }

    fn snapshot(&self) -> Vec<(&'static str, Standing)> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        checks.into_iter().map(|(name, known)| (name, known.standing())).collect()
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

    /// Keeps the check true to what `ask` answers, every second until `shutdown`.
    pub async fn follow<E: Display>(self, ask: impl AsyncFn() -> Result<(), E>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let asking = async {
            loop {
                ticks.tick().await;
                self.ask_once(&ask).await;
            }
        };
        shutdown.run_until_cancelled(asking).await;
    }

    /// Makes the check true to what `ask` answers now; no answer within a second counts as a no.
    pub async fn ask_once<E: Display>(&self, ask: impl AsyncFnOnce() -> Result<(), E>) {
        match tokio::time::timeout(PERIOD, ask()).await {
            Ok(Ok(())) => self.ready(),
            Ok(Err(why)) => self.not_ready(&why.to_string()),
            Err(_) => self.not_ready("it does not answer within a second"),
        }
    }

    fn set(&self, ready: bool, detail: &str) {
        let mut checks = self.health.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = Standing { ready, detail: detail.to_owned() };
        match checks.iter_mut().find(|(name, _)| *name == self.name) {
            Some((_, known)) => {
                if known.standing().ready != ready {
                    tracing::info!(check = self.name, ready, detail, "readiness changed");
                }
                *known = Known::Told(standing);
            }
            None => checks.push((self.name, Known::Told(standing))),
        }
    }
}

/// It may be otherwise the next time.
const AT_THIS_MOMENT: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

async fn readyz(State(health): State<Health>) -> Response {
    let mut checks = health.snapshot();
    if shutdown::is_stopping() {
        let standing = Standing { ready: false, detail: "the process was told to stop".to_owned() };
        checks.push(("process", standing));
    }
    let ready = checks.iter().all(|(_, standing)| standing.ready);
    let parts: Map<_, _> = checks
        .into_iter()
        .map(|(name, standing)| {
            (name.to_owned(), json!({"ready": standing.ready, "detail": standing.detail}))
        })
        .collect();
    let body = Json(json!({"status": if ready { "ready" } else { "not-ready" }, "checks": parts}));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [AT_THIS_MOMENT], body).into_response()
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

    #[tokio::test]
    async fn a_part_that_is_asked_is_ready_as_long_as_it_says_so() {
        let health = Health::default();
        let holds = Arc::new(Mutex::new(Ok(())));
        let asked = holds.clone();
        health.ask("log", move || asked.lock().unwrap().clone());
        assert_eq!(status(&health, "/readyz").await, StatusCode::OK);
        *holds.lock().unwrap() = Err("stopped".to_owned());
        assert_eq!(status(&health, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_part_that_is_silent_for_a_second_is_not_ready() {
        let health = Health::default();
        let check = health.check("database");
        check.ask_once(async || Ok::<_, &str>(())).await;
        assert!(health.is_ready());
        check.ask_once(std::future::pending::<Result<(), &str>>).await;
        assert!(!health.is_ready());
    }

    #[tokio::test]
    async fn a_part_is_asked_again_and_again_until_the_shutdown() {
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let asked = Mutex::new(0);
        let ask = async || {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            if *asked == 2 {
                shutdown.cancel();
            }
            Ok::<_, &str>(())
        };
        health.check("database").follow(ask, shutdown.clone()).await;
        assert_eq!(*asked.lock().unwrap(), 2);
    }
}
