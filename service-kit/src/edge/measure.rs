//! Rate, errors and duration of requests, by method, route and status.

use crate::metrics::{Gauge, Histogram};
use axum::extract::MatchedPath;
use axum::http::{Method, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

static DURATION: Histogram<4> = Histogram::new(
    "http_request_duration_seconds",
    "How long requests took until their answer began.",
    ["service", "method", "route", "status"],
);

static IN_FLIGHT: Gauge<1> =
    Gauge::new("http_requests_in_flight", "Requests whose answer has not begun yet.", ["service"]);

/// What is measured of one service. It keeps what it has measured once: to ask the registry each time costs more than
/// some answers do.
#[derive(Clone)]
pub(super) struct Measures(Arc<Kept>);

struct Kept {
    service: &'static str,
    in_flight: metrics::Gauge,
    /// By route.
    durations: RwLock<HashMap<String, Vec<Answers>>>,
}

/// How long the answers of one route took: those to one method, with one status.
struct Answers {
    method: &'static str,
    status: StatusCode,
    durations: metrics::Histogram,
}

/// A request that is under way.
pub(super) struct Measured {
    kept: Arc<Kept>,
    method: &'static str,
    route: Option<MatchedPath>,
}

impl Measures {
    pub(super) fn of(service: &'static str) -> Self {
        let in_flight = IN_FLIGHT.of([service.into()]);
        Self(Arc::new(Kept { service, in_flight, durations: RwLock::default() }))
    }

    pub(super) fn begin(&self, method: &Method, route: Option<MatchedPath>) -> Measured {
        self.0.in_flight.increment(1.0);
        Measured { kept: Arc::clone(&self.0), method: known(method), route }
    }
}

impl Kept {
    fn duration(&self, route: &str, method: &'static str, status: StatusCode) -> metrics::Histogram {
        let known = self.durations.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(route).and_then(|answers| {
            answers.iter().find(|answer| (answer.method, answer.status) == (method, status))
        });
        if let Some(answers) = found {
            return answers.durations.clone();
        }
        drop(known);
        let labels =
            [self.service.into(), method.into(), route.to_owned().into(), status.as_str().to_owned().into()];
        let durations = DURATION.of(labels);
        let mut known = self.durations.write().unwrap_or_else(PoisonError::into_inner);
        let answers = Answers { method, status, durations: durations.clone() };
        known.entry(route.to_owned()).or_default().push(answers);
        durations
    }
}

impl Measured {
    pub(super) fn answered(self, status: StatusCode, after: Duration) {
        // A path that no route takes is a client's own word, and there is no end of those.
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        self.kept.duration(route, self.method, status).record(after);
    }
}

/// A client that goes away before its answer is not under way any more either.
impl Drop for Measured {
    fn drop(&mut self) {
        self.kept.in_flight.decrement(1.0);
    }
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
