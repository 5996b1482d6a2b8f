//! One request for what the read models hold, and the form of its answer.

use super::etag::ETag;
use super::hal;
use super::parameters::Parameters;
use crate::headers::POSITION;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use read_model::At;
use serde::Serialize;
use service_kit::{Origin, Problem};

/// What a client asks with: where it came in, its parameters, and what it has already.
pub(super) struct Inquiry {
    pub(super) origin: Origin,
    pub(super) parameters: Parameters,
    headers: HeaderMap,
}

impl Inquiry {
    /// Answers with what `found` was made into, unless the client has it already.
    pub(super) fn answer<T>(
        &self,
        found: &At<T>,
        etag: &ETag,
        resource: &impl Serialize,
    ) -> Result<Response, Problem> {
        let facts = [
            (header::ETAG, etag.to_string()),
            (POSITION, found.position.to_string()),
            // Whoever keeps it asks each time whether it still holds, which costs little with the tag.
            (header::CACHE_CONTROL, "no-cache".to_owned()),
        ];
        if etag.is_known(&self.headers) {
            return Ok((StatusCode::NOT_MODIFIED, facts).into_response());
        }
        Ok((facts, [(header::CONTENT_TYPE, hal::MEDIA_TYPE)], hal::document(resource)?).into_response())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Inquiry {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self {
            origin: Origin::from_request_parts(parts, state).await?,
            parameters: Parameters::from_request_parts(parts, state).await?,
            headers: parts.headers.clone(),
        })
    }
}
