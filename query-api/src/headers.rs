//! The headers of our own.

use axum::http::HeaderName;

/// How far the read models were when they were asked: the position of the last event folded in.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("bookstock-position");

/// How many milliseconds ago the database said that this is how things are.
pub(crate) const AGE: HeaderName = HeaderName::from_static("bookstock-age-ms");

/// `true` on an answer from memory while the database is out: things may have changed since.
pub(crate) const STALE: HeaderName = HeaderName::from_static("bookstock-stale");
