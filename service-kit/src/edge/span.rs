//! A request as a span of its trace.

use crate::RequestId;
use crate::traces::{self, Span};
use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;

/// Whoever watches asks for these all the time, and nobody looks for their traces.
const WATCHED: [&str; 4] = ["/livez", "/readyz", "/metrics", "/grpc.health.v1.Health/{*rest}"];

/// Begins the span of `request`; what the request causes comes below it.
pub(super) fn begin(
    service: &'static str,
    request: &mut Request,
    route: Option<&MatchedPath>,
    id: &RequestId,
) -> Span {
    let route = route.map(MatchedPath::as_str);
    if !traces::is_on() || route.is_some_and(|route| WATCHED.contains(&route)) {
        return Span::none();
    }
    let method = request.method().clone();
    let name = || route.map_or_else(|| method.to_string(), |route| format!("{method} {route}"));
    let path = request.uri().path().to_owned();
    let mut span = Span::answering(service, name, request.headers_mut());
    span.set("http.request.method", method.to_string());
    span.set("url.path", path);
    span.set("bookstock.request_id", id.as_str().to_owned());
    if let Some(route) = route {
        span.set("http.route", route.to_owned());
    }
    span
}

/// It was answered.
pub(super) fn end(mut span: Span, status: StatusCode) {
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.failed(status.canonical_reason().unwrap_or_default());
    }
}
