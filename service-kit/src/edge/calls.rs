//! The same edge for gRPC: a call is a request, and what the edge refuses is told as a gRPC status.

use super::{Tell, frame};
use crate::limits::{LimitSettings, Limits};
use crate::{Auth, Problem};
use axum::Router;
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The gRPC services of a listener.
#[derive(Clone, Debug)]
pub struct Calls {
    /// Their methods, each a route.
    pub router: Router,
    /// Makes a gRPC status of an answer that is a problem.
    pub tell: Tell,
}

/// Puts the edge around the `calls` of `service`: the guard of `auth`, `limits`, deadline, request log and metrics, and a
/// status for unknown methods and faults of our own. How the service stands is told by its other listener.
pub fn around_calls(service: &'static str, calls: Calls, auth: &Auth, limits: &LimitSettings) -> Router {
    let routes = Limits::new(limits)
        .around(calls.router)
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::no_such_route() });
    frame(service, routes, auth, calls.tell)
}

/// The status of an answer; of a gRPC answer, which is always 200 on the wire, what its code stands for.
pub(super) fn status_of(response: &Response) -> StatusCode {
    let code = response.headers().get(GRPC_STATUS).map(|code| code.as_bytes());
    match code {
        None | Some(b"0") => response.status(),
        Some(b"3" | b"9" | b"11") => StatusCode::BAD_REQUEST,
        Some(b"4") => StatusCode::GATEWAY_TIMEOUT,
        Some(b"5") => StatusCode::NOT_FOUND,
        Some(b"6" | b"10") => StatusCode::CONFLICT,
        Some(b"7") => StatusCode::FORBIDDEN,
        Some(b"8") => StatusCode::TOO_MANY_REQUESTS,
        Some(b"12") => StatusCode::NOT_IMPLEMENTED,
        Some(b"14") => StatusCode::SERVICE_UNAVAILABLE,
        Some(b"16") => StatusCode::UNAUTHORIZED,
        Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;

    #[test]
    fn a_call_is_counted_by_what_its_code_stands_for() {
        let status = |code: &str| status_of(&[("grpc-status", code.to_owned())].into_response()).as_u16();
        for (code, stands_for) in
            [("0", 200), ("3", 400), ("5", 404), ("13", 500), ("14", 503), ("16", 401), ("x", 500)]
        {
            assert_eq!(status(code), stands_for, "{code}");
        }
        assert_eq!(status_of(&StatusCode::CREATED.into_response()), 201);
    }
}
