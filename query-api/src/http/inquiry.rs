//! What every query needs of its request, and what every answer says of itself.

use super::etag::ETag;
use super::hal;
use super::media::Media;
use super::parameters::Parameters;
use crate::headers::{AGE, PARKED, POSITION, STALE};
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use read_model::At;
use serde::Serialize;
use service_kit::{Origin, Problem};

/// What a client asks with: where it came in, its parameters, and what it has already.
pub(super) struct Inquiry {
    pub(super) origin: Origin,
    pub(super) parameters: Parameters,
    pub(super) media: Media,
    headers: HeaderMap,
}

impl Inquiry {
    /// All that a part of the list at `path` depends on, but the state of the read models.
    pub(super) fn question(&self, path: &str) -> String {
        format!(
            "{} {}",
            self.media.content_type(),
            self.origin.href(format_args!("{path}{}", self.parameters.query()))
        )
    }

    /// Answers with a part of the list at `path`.
    pub(super) fn answer_list<T>(
        &self,
        path: &str,
        found: &At<T>,
        list: &impl Serialize,
    ) -> Result<Response, Problem> {
        self.answer_rows(path, found, || Ok(hal::document(list)?.into()))
    }

    /// Answers with rows of the list at `path`, in the form that is accepted.
    pub(super) fn answer_rows<T>(
        &self,
        path: &str,
        found: &At<T>,
        body: impl FnOnce() -> Result<Body, Problem>,
    ) -> Result<Response, Problem> {
        let media = self.media.content_type();
        let query = format!("{media}{path}{}", self.parameters.query());
        let etag = ETag::of_list(&query, found);
        let mut response = self.answer_as(found, &etag, media, body)?;
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        if found.parked > 0 {
            headers.insert(PARKED, found.parked.into());
        }
        Ok(response)
    }

    /// Answers with what `found` was made into, unless the client has it already.
    pub(super) fn answer<T>(
        &self,
        found: &At<T>,
        etag: &ETag,
        resource: &impl Serialize,
    ) -> Result<Response, Problem> {
        self.answer_as(found, etag, hal::MEDIA_TYPE, || Ok(hal::document(resource)?.into()))
    }

    /// Answers with `body`, unless the client has it already.
    fn answer_as<T>(
        &self,
        found: &At<T>,
        etag: &ETag,
        content_type: &'static str,
        body: impl FnOnce() -> Result<Body, Problem>,
    ) -> Result<Response, Problem> {
        let known = etag.is_known(&self.headers);
        let mut response = Response::new(if known { Body::empty() } else { body()? });
        let headers = response.headers_mut();
        let mut tell = |name: HeaderName, text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        };
        tell(header::ETAG, &etag.to_string());
        tell(POSITION, &found.position.to_string());
        tell(AGE, &found.age.as_millis().to_string());
        if found.stale {
            tell(STALE, "true");
        }
        // Whoever keeps it asks each time whether it still holds, which costs little with the tag.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Ok(response)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Inquiry {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let origin = Origin::from_request_parts(parts, state).await?;
        let parameters = Parameters::from_request_parts(parts, state).await?;
        let media = Media::accepted(&parts.headers);
        // Nothing after this needs them any more.
        Ok(Self { origin, parameters, media, headers: std::mem::take(&mut parts.headers) })
    }
}
