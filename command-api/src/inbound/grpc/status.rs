//! A problem as a gRPC status, `google.rpc.Status` with its standard details.

use super::super::problem::{KEY_REUSED, OUTCOME_UNKNOWN};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use service_kit::edge::DEADLINE_EXCEEDED;
use service_kit::problem::{Kind, NO_SUCH_ROUTE, TYPE_PREFIX};
use service_kit::{Language, Problem};
use std::collections::HashMap;
use std::ptr;
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Who says what the reasons mean.
const DOMAIN: &str = "bookstock";

/// An answer of the edge; if it is a problem, as a status in `language`.
pub(super) fn tell(mut response: Response, language: Language) -> Response {
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => of(&problem, language).into_http(),
        None => response,
    }
}

/// The status of a problem. Its message is for developers, in English; people have theirs among the details.
pub(super) fn of(problem: &Problem, language: Language) -> Status {
    let detail = problem.detail();
    let reason = problem.name().replace('-', "_").to_uppercase();
    let mut details = ErrorDetails::with_error_info(&reason, DOMAIN, facts(problem));
    if let Some(delay) = retry_delay(problem) {
        details.set_retry_info(Some(delay));
    }
    if let Some(Value::String(field)) = problem.members().get("field") {
        details.add_bad_request_violation(snake_case(field), detail.en.clone());
    }
    details.set_localized_message(language.tag(), detail.get(language));
    let metadata = MetadataMap::from_headers(problem.headers().iter().cloned().collect::<HeaderMap>());
    Status::with_error_details_and_metadata(code(problem.kind()), detail.en.clone(), details, metadata)
}

/// The one place that decides what code a kind of problem has. Clients send again by themselves what is UNAVAILABLE, so
/// that is only what surely changed nothing.
fn code(kind: &'static Kind) -> Code {
    let is = |other: &'static Kind| ptr::eq(kind, other);
    match kind.status() {
        _ if is(&OUTCOME_UNKNOWN) || is(&DEADLINE_EXCEEDED) => Code::DeadlineExceeded,
        _ if is(&KEY_REUSED) => Code::AlreadyExists,
        _ if is(&NO_SUCH_ROUTE) => Code::Unimplemented,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::REQUEST_TIMEOUT => Code::Cancelled,
        StatusCode::PAYLOAD_TOO_LARGE => Code::OutOfRange,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::Unimplemented,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
        StatusCode::CONFLICT | StatusCode::GONE => Code::FailedPrecondition,
        StatusCode::PRECONDITION_FAILED => Code::Aborted,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// The problem's type, and its own members as text.
fn facts(problem: &Problem) -> HashMap<String, String> {
    let members = problem.members().iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), text)
    });
    members.chain([("type".to_owned(), format!("{TYPE_PREFIX}{}", problem.name()))]).collect()
}

fn retry_delay(problem: &Problem) -> Option<Duration> {
    let (_, seconds) = problem.headers().iter().find(|(name, _)| name == header::RETRY_AFTER)?;
    seconds.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// The name of a field as the definition has it.
fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, c| {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    })
}
