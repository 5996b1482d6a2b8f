//! The headers of our own.

use axum::http::HeaderName;

/// How far the read models were when they were asked: the position of the last event folded in.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("bookstock-position");
