//! The headers of our own.

use axum::http::HeaderName;

/// How far the read models were when they were asked: the position of the last event folded in.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("bookstock-position");

/// How many milliseconds ago the database said that this is how things are.
pub(crate) const AGE: HeaderName = HeaderName::from_static("bookstock-age-ms");

/// On a list: how many books wait at an event that could not be applied, and are shown as they were before it.
pub(crate) const PARKED: HeaderName = HeaderName::from_static("bookstock-parked");

/// `true` on an answer from memory while the database is out: things may have changed since.
pub(crate) const STALE: HeaderName = HeaderName::from_static("bookstock-stale");
