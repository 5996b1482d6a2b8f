//! Rate, errors and duration of requests, by method, route and status.

use crate::metrics::{Gauge, Histogram};
use axum::extract::MatchedPath;
use axum::http::{Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;

static DURATION: Histogram<4> = Histogram::new(
    "http_request_duration_seconds",
    "How long requests took until their answer began.",
    ["service", "method", "route", "status"],
);

static IN_FLIGHT: Gauge<1> =
    Gauge::new("http_requests_in_flight", "Requests whose answer has not begun yet.", ["service"]);

/// A request that is under way.
pub(super) struct Measured {
    service: &'static str,
    method: &'static str,
    route: Option<MatchedPath>,
    in_flight: metrics::Gauge,
}

impl Measured {
    pub(super) fn begin(service: &'static str, method: &Method, route: Option<MatchedPath>) -> Self {
        let in_flight = IN_FLIGHT.of([service.into()]);
        in_flight.increment(1.0);
        Self { service, method: known(method), route, in_flight }
    }

    pub(super) fn answered(self, status: StatusCode, after: Duration) {
        // A path that no route takes is a client's own word, and there is no end of those.
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let labels = [
            self.service.into(),
            self.method.into(),
            Arc::<str>::from(route).into(),
            status.as_str().to_owned().into(),
        ];
        DURATION.of(labels).record(after);
    }
}

/// A client that goes away before its answer is not under way any more either.
impl Drop for Measured {
    fn drop(&mut self) {
        self.in_flight.decrement(1.0);
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
