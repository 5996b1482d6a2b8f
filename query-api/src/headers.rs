//! The headers of our own.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use read_model::At;

/// How far the read models were when they were asked: the position of the last event folded in.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("bookstock-position");

/// How many milliseconds ago the database said that this is how things are.
pub(crate) const AGE: HeaderName = HeaderName::from_static("bookstock-age-ms");

/// On a list: how many books wait at an event that could not be applied, and are shown as they were before it.
pub(crate) const PARKED: HeaderName = HeaderName::from_static("bookstock-parked");

/// `true` on an answer from memory while the database is out: things may have changed since.
pub(crate) const STALE: HeaderName = HeaderName::from_static("bookstock-stale");

/// Says on an answer where the read models were, and how old that is.
pub(crate) fn place<T>(headers: &mut HeaderMap, found: &At<T>) {
    headers.insert(POSITION, found.position.into());
    headers.insert(AGE, u64::try_from(found.age.as_millis()).unwrap_or(u64::MAX).into());
    if found.stale {
        headers.insert(STALE, HeaderValue::from_static("true"));
    }
}
