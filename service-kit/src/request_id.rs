//! The id of a request: the caller's own, `X-Request-Id`, or one that is made here. It is in the log, in what the
//! request caused, and on every answer, so that all of that can be found by it.

use axum::extract::Request;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::response::Response;
use std::convert::Infallible;
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over, in characters.
const MAX_LENGTH: usize = 128;

/// The id of a request: 1 to 128 visible ASCII characters. An extension of every request behind the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that `request` brings, if it is one, else a new one; from here on the request has it.
    pub(crate) fn of(request: &mut Request) -> Self {
        let brought = request.headers().get(HEADER).filter(|id| is_id(id.as_bytes())).cloned();
        let id = brought.map_or_else(Self::made_here, Self);
        request.extensions_mut().insert(id.clone());
        id
    }

    /// Nobody has to be unable to guess it, so it is not worth a call of the system.
    fn made_here() -> Self {
        let mut text = Uuid::encode_buffer();
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
        let text = id.hyphenated().encode_lower(&mut text);
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")))
    }

    /// The id that the edge left among a request's `extensions`, else a new one.
    #[must_use]
    pub fn among(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(Self::made_here)
    }

    /// Puts it on the answer.
    pub(crate) fn tell(self, response: &mut Response) {
        response.headers_mut().insert(HEADER, self.0);
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::among(&parts.extensions))
    }
}

fn is_id(bytes: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn of(header: Option<&str>) -> RequestId {
        let mut request = Request::new(Body::empty());
        if let Some(id) = header {
            request.headers_mut().insert(HEADER, HeaderValue::from_str(id).unwrap());
        }
        let id = RequestId::of(&mut request);
        assert_eq!(request.extensions().get::<RequestId>(), Some(&id));
        id
    }

    #[test]
    fn a_request_keeps_the_id_that_it_brings() {
        assert_eq!(of(Some("delivery-7/1")).as_str(), "delivery-7/1");
    }

    #[test]
    fn a_request_without_an_id_gets_a_new_one() {
        assert_ne!(of(None), of(None));
        for bad in ["", "two words", &"x".repeat(129)] {
            assert_eq!(of(Some(bad)).as_str().len(), 36, "{bad}");
        }
    }
}
