//! What the answers of all commands have in common.

use super::BookNow;
use super::wanted::Wanted;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use service_kit::Problem;

/// On an answer that is shorter because that was preferred.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

const POSITION: HeaderName = HeaderName::from_static("bookstock-position");

/// On the answer to a repeat, so that a client can tell what it booked from what had been booked already.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// `201 Created` with `body`, or without if so `wanted`, for a command that led to `book`.
pub(super) fn created(
    book: &BookNow,
    wanted: Wanted,
    location: &str,
    body: &impl Serialize,
) -> Result<Response, Problem> {
    let mut response = with_place(book, "application/json", body)?;
    if wanted == Wanted::Minimal {
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static("return=minimal"));
    }
    *response.status_mut() = StatusCode::CREATED;
    let location = HeaderValue::from_str(location).map_err(|error| Problem::internal(&error))?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// `200 OK` with `body`, telling by its headers the place of `book` in its stream and in the store.
pub(super) fn with_place(
    book: &BookNow,
    content_type: &'static str,
    body: &impl Serialize,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(|error| Problem::internal(&error))?;
    let mut response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    let etag = HeaderValue::from_str(&format!("\"{}\"", book.revision));
    response.headers_mut().insert(header::ETAG, etag.map_err(|error| Problem::internal(&error))?);
    response.headers_mut().insert(POSITION, HeaderValue::from(book.position.0));
    if book.repeated {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
