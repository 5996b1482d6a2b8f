//! What every HTTP listener puts around its routes: health, metrics, limits, and a problem document for whatever goes
//! wrong.

mod calls;
mod measure;
mod span;

use crate::body::BODY_LIMIT;
use crate::limits::Limits;
use crate::openapi::{self, Routes};
use crate::problem::{Kind, in_language};
use crate::{Auth, Health, Language, Problem, RequestId, Text, metrics, text};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
pub use calls::{Calls, around_calls};
use measure::Measures;
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tower_http::catch_panic::CatchPanicLayer;

/// The longest that a request may take, unless its route sets its own pace.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the next release or the next moment changes is asked for each time.
const AS_IT_IS_NOW: (HeaderName, &str) = (header::CACHE_CONTROL, "no-cache");

/// Until when a request has to be answered. An extension of every request behind the edge whose route does not set its own
/// pace: who can say more than that it took too long, says it before.
#[derive(Clone, Copy, Debug)]
pub struct Due(pub Instant);

/// What of a request's time is for what is behind the edge: the rest is for the answer's way.
const SHARE_BEHIND: f64 = 0.9;

/// 503: nobody waits any longer for this request.
pub static DEADLINE_EXCEEDED: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "deadline-exceeded",
    Text::fixed("The request took too long", "요청을 처리하는 데 너무 오래 걸렸습니다"),
);

/// Puts the edge around the `routes` of `service`: `/livez`, `/readyz`, `/metrics`, `/openapi.json` and `/docs`, the guard of `auth`, `limits`, body limit,
/// deadline, request log and metrics, and problem documents for unknown paths, wrong methods and faults of our own.
pub fn around(
    service: &'static str,
    routes: Routes,
    health: &Health,
    auth: &Auth,
    limits: &Limits,
) -> Router {
    let at_own_pace = routes.at_own_pace.clone();
    let document = match &routes.whole {
        Some(whole) => whole.shown(auth.asks()),
        None => openapi::document(service, &routes, auth.asks()),
    };
    let document = Bytes::from(document.to_string());
    let document =
        get(move || async move { ([(header::CONTENT_TYPE, "application/json"), AS_IT_IS_NOW], document) });
    let checks = health.clone();
    let shown = get(move || async move {
        checks.measure(service);
        ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE), AS_IT_IS_NOW], metrics::text())
    });
    let routes = limits
        .around(routes.router)
        .merge(health.routes())
        .route("/metrics", shown)
        .route("/openapi.json", document)
        .route("/docs", get(|| async { ([AS_IT_IS_NOW], Html(openapi::PAGE)) }))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::no_such_route() });
    frame(service, routes, auth, Manner { tell: in_language, within: |_| DEADLINE }, at_own_pace)
}

/// How an answer is told in a language, if it is a problem.
pub type Tell = fn(Response, Language) -> Response;

/// In what two protocols differ.
#[derive(Clone, Copy)]
struct Manner {
    tell: Tell,
    /// How long a request with these headers may take.
    within: fn(&HeaderMap) -> Duration,
}

/// What is around all routes, in whichever protocol. Those `at_own_pace` end by themselves.
fn frame(
    service: &'static str,
    routes: Router,
    auth: &Auth,
    manner: Manner,
    at_own_pace: Vec<&'static str>,
) -> Router {
    let measures = Measures::of(service);
    let at_own_pace: Arc<[_]> = at_own_pace.into();
    auth.around(service, routes)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(fault))
        .layer(middleware::from_fn(move |request, next| {
            bounded_and_told(service, measures.clone(), manner, Arc::clone(&at_own_pace), request, next)
        }))
}

#[allow(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn fault(panic: Box<dyn Any + Send>) -> Response {
    let cause = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    Problem::internal(&cause).into_response()
}

async fn bounded_and_told(
    service: &'static str,
    measures: Measures,
    manner: Manner,
    at_own_pace: Arc<[&'static str]>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::of(&mut request);
    let language = Language::of(request.headers());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = span::begin(service, &mut request, route.as_ref(), &id);
    let sets_its_pace = route.as_ref().is_some_and(|route| at_own_pace.contains(&route.as_str()));
    let measured = measures.begin(request.method(), route);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let within = if sets_its_pace { Duration::MAX } else { (manner.within)(request.headers()) };
    if !sets_its_pace {
        request.extensions_mut().insert(Due(started + within.mul_f64(SHARE_BEHIND)));
    }
    let response = tokio::time::timeout(within, next.run(request)).await.unwrap_or_else(|_| {
        let detail = text!(
            en: "Try again later; if it was a command, with the same Idempotency-Key.",
            ko: "잠시 뒤에 다시 보내십시오. 커맨드였다면 같은 Idempotency-Key 로 보내십시오."
        );
        DEADLINE_EXCEEDED.because(detail).retry_after(1).into_response()
    });
    // Other protocols have fewer words for a problem than it has statuses.
    let of_problem = response.extensions().get::<Problem>().map(Problem::status);
    let mut response = (manner.tell)(response, language);
    let status = of_problem.unwrap_or_else(|| calls::status_of(&response));
    let elapsed = started.elapsed();
    measured.answered(status, elapsed);
    // A number that is longer would be logged as a text.
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let (request_id, trace_id) = (id.as_str(), span.trace_id());
    span::end(span, status);
    let (status, path) = (status.as_u16(), uri.path());
    if status >= 500 {
        tracing::warn!(%method, path, status, elapsed_us, request_id, trace_id, "request");
    } else {
        tracing::debug!(%method, path, status, elapsed_us, request_id, trace_id, "request");
    }
    id.tell(&mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Api, Operation};
    use axum::body::Body;
    use axum::routing::{get, post};
    use tower::ServiceExt as _;

    async fn answer(method: &str, path: &str) -> (u16, String) {
        let fails = get(|| async {
            if true {
                panic!("on purpose");
            }
        });
        let routes =
            Router::new().route("/fails", fails).route("/takes", post(|body: String| async move { body }));
        let request =
            Request::builder().method(method).uri(path).body(Body::from("x".repeat(1 << 17))).unwrap();
        let response = around("test", routes.into(), &Health::default(), &Auth::open(), &Limits::default())
            .oneshot(request)
            .await
            .unwrap();
        assert!(response.headers().contains_key("x-request-id"));
        let content_type =
            response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), content_type.unwrap_or_default())
    }

    #[tokio::test]
    async fn whatever_goes_wrong_is_a_problem_document() {
        let problem = "application/problem+json".to_owned();
        assert_eq!(answer("GET", "/nowhere").await, (404, problem.clone()));
        assert_eq!(answer("DELETE", "/fails").await, (405, problem.clone()));
        assert_eq!(answer("GET", "/fails").await, (500, problem));
        assert_eq!(answer("POST", "/takes").await.0, 413);
        assert_eq!(answer("GET", "/livez").await.0, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_route_that_sets_its_own_pace_may_take_longer_than_others() {
        let slow = || tokio::time::sleep(DEADLINE * 10);
        let operation = |id| Operation::new(id, "", "");
        let api = Api::default().get("/own", slow, operation("own").at_its_own_pace());
        let routes = Routes::default().merge(api.get("/any", slow, operation("any")).with_state(()));
        let edge = around("test", routes, &Health::default(), &Auth::open(), &Limits::default());
        for (path, status) in [("/own", 200), ("/any", 503)] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            assert_eq!(edge.clone().oneshot(request).await.unwrap().status(), status, "{path}");
        }
    }

    #[tokio::test]
    async fn a_problem_is_told_in_the_language_of_its_reader() {
        let edge = around("test", Routes::default(), &Health::default(), &Auth::open(), &Limits::default());
        let request = Request::get("/nowhere").header("accept-language", "ko-KR,ko;q=0.9,en;q=0.1");
        let response = edge.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-language"]),
            (404, &"ko".parse().unwrap())
        );
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("여기에는 아무것도 없습니다"));
    }

    #[tokio::test]
    async fn requests_are_counted_by_their_route_and_never_by_their_path() {
        let health = Health::default();
        health.check("store").ready();
        let routes = Router::new().route("/books/{bookId}", get(|| async {}));
        let edge = around("measured", routes.into(), &health, &Auth::open(), &Limits::default());
        let ask = async |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let body = edge.clone().oneshot(request).await.unwrap().into_body();
            String::from_utf8(axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap()
        };
        for (method, path) in
            [("GET", "/books/1"), ("GET", "/books/2"), ("POST", "/books/1"), ("BREW", "/tea")]
        {
            ask(method, path).await;
        }
        let shown = ask("GET", "/metrics").await;
        let count =
            |labels: &str| format!("http_request_duration_seconds_count{{service=\"measured\",{labels}}}");
        for line in [
            count(r#"method="GET",route="/books/{bookId}",status="200""#) + " 2",
            count(r#"method="POST",route="/books/{bookId}",status="405""#) + " 1",
            count(r#"method="other",route="none",status="404""#) + " 1",
            r#"http_requests_in_flight{service="measured"} 1"#.to_owned(),
            r#"service_ready{service="measured",check="store"} 1"#.to_owned(),
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} is not in:\n{shown}");
        }
        assert!(!shown.contains("/books/1") && !shown.contains("/tea"), "{shown}");
    }
}
