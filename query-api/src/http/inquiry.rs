//! What every query needs of its request, and what every answer says of itself.

use super::etag::ETag;
use super::hal;
use super::media::Media;
use super::parameters::Parameters;
use super::state::Shared;
use crate::headers::{self, PARKED};
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
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
        if let Ok(etag) = HeaderValue::from_str(&etag.to_string()) {
            headers.insert(header::ETAG, etag);
        }
        headers::place(headers, found);
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

impl FromRequestParts<Shared> for Inquiry {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let asked = async {
            let origin = Origin::from_request_parts(parts, shared).await?;
            Ok((origin, Parameters::from_request_parts(parts, shared).await?))
        };
        let (origin, parameters) = asked.await.map_err(|problem: Problem| shared.placed(problem))?;
        let media = Media::accepted(&parts.headers);
        // Nothing after this needs them any more.
        Ok(Self { origin, parameters, media, headers: std::mem::take(&mut parts.headers) })
    }
}
