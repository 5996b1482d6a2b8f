//! The same edge for gRPC: a call is a request, and what the edge refuses is told as a gRPC status.

use super::{DEADLINE, Manner, Tell, frame};
use crate::limits::Limits;
use crate::{Auth, Problem};
use axum::Router;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use std::time::Duration;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// How long the caller waits: so many of a unit.
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

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
pub fn around_calls(service: &'static str, calls: Calls, auth: &Auth, limits: &Limits) -> Router {
    let routes = limits
        .around(calls.router)
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::no_such_route() });
    frame(service, routes, auth, Manner { tell: calls.tell, within: caller_waits }, Vec::new())
}

/// How long a call with these headers may take: as long as any, or as its caller waits if that is shorter.
fn caller_waits(headers: &HeaderMap) -> Duration {
    let asked = headers.get(GRPC_TIMEOUT).and_then(|value| timeout(value.to_str().ok()?));
    asked.map_or(DEADLINE, |asked| asked.min(DEADLINE))
}

/// A `grpc-timeout`: one to eight digits and a unit. What is none is not there.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits.parse().ok().filter(|_| is_number)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// The status of an answer that is no problem of ours; of a gRPC answer, which is always 200 on the wire, what its code stands for.
pub(super) fn status_of(response: &Response) -> StatusCode {
    let code = response.headers().get(GRPC_STATUS).map(|code| code.as_bytes());
    match code {
        None | Some(b"0") => response.status(),
        Some(b"1") => StatusCode::REQUEST_TIMEOUT,
        Some(b"3" | b"9" | b"11") => StatusCode::BAD_REQUEST,
        Some(b"4") => StatusCode::GATEWAY_TIMEOUT,
        // A method that is not there is its caller's mistake.
        Some(b"5" | b"12") => StatusCode::NOT_FOUND,
        Some(b"6" | b"10") => StatusCode::CONFLICT,
        Some(b"7") => StatusCode::FORBIDDEN,
        Some(b"8") => StatusCode::TOO_MANY_REQUESTS,
        Some(b"14") => StatusCode::SERVICE_UNAVAILABLE,
        Some(b"16") => StatusCode::UNAUTHORIZED,
        Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::UNSUPPORTED_ENCODING;
    use crate::{metrics, text};
    use axum::body::Body;
    use axum::extract::Request;
    use axum::response::IntoResponse as _;
    use axum::routing::post;
    use tower::ServiceExt as _;

    #[test]
    fn a_call_takes_as_long_as_its_caller_waits_and_no_longer_than_any() {
        let waits = |text: &str| {
            caller_waits(&HeaderMap::from_iter([(GRPC_TIMEOUT, text.parse().unwrap())])).as_micros()
        };
        assert_eq!((waits("250m"), waits("7u"), waits("2S"), waits("5000n")), (250_000, 7, 2_000_000, 5));
        for longer in ["1H", "1M", "99999999S"] {
            assert_eq!(waits(longer), DEADLINE.as_micros(), "{longer}");
        }
        for none in ["", "S", "1", "-1S", "1s", "+1S", "123456789S", "1.5S"] {
            assert_eq!(waits(none), DEADLINE.as_micros(), "{none}");
        }
    }

    #[tokio::test]
    async fn nobody_works_for_a_caller_who_has_stopped_waiting() {
        let router = Router::new().route("/a.B/C", post(std::future::pending::<()>));
        let calls = Calls { router, tell: |answer, _| answer };
        let edge = around_calls("test", calls, &Auth::open(), &Limits::default());
        let call = Request::post("/a.B/C").header(GRPC_TIMEOUT, "1m").body(Body::empty()).unwrap();
        let answer = edge.oneshot(call).await.unwrap();
        assert_eq!(answer.extensions().get::<Problem>().unwrap().name(), "deadline-exceeded");
    }

    #[tokio::test]
    async fn a_call_that_is_refused_is_counted_as_the_problem_that_it_is() {
        let packed =
            || async { UNSUPPORTED_ENCODING.because(text!(en: "Unpack it.", ko: "압축을 푸십시오.")) };
        let router = Router::new().route("/a.B/C", post(packed));
        // One code for whatever is wrong, and it stands for something else.
        let calls = Calls { router, tell: |_, _| [(GRPC_STATUS, "13")].into_response() };
        let edge = around_calls("told", calls, &Auth::open(), &Limits::default());
        let shown = async |method: &str, path: &str| {
            let call = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            edge.clone().oneshot(call).await.unwrap();
            metrics::text()
        };
        for (method, path, counted) in [
            ("POST", "/a.B/C", r#"method="POST",route="/a.B/C",status="415""#),
            ("GET", "/a.B/C", r#"method="GET",route="/a.B/C",status="405""#),
            ("POST", "/a.B/D", r#"method="POST",route="none",status="404""#),
        ] {
            let shown = shown(method, path).await;
            let line = format!("http_request_duration_seconds_count{{service=\"told\",{counted}}} 1");
            assert!(shown.lines().any(|shown| shown == line), "{line} is not in:\n{shown}");
        }
    }

    #[test]
    fn a_call_is_counted_by_what_its_code_stands_for() {
        let status = |code: &str| status_of(&[("grpc-status", code.to_owned())].into_response()).as_u16();
        for (code, stands_for) in [
            ("0", 200),
            ("1", 408),
            ("3", 400),
            ("5", 404),
            ("12", 404),
            ("13", 500),
            ("14", 503),
            ("16", 401),
            ("x", 500),
        ] {
            assert_eq!(status(code), stands_for, "{code}");
        }
        assert_eq!(status_of(&StatusCode::CREATED.into_response()), 201);
    }
}
