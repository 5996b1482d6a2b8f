//! The one clock. Everything below the edges gets the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970-01-01T00:00:00Z; 0 if the machine's clock stands before that.
#[must_use]
pub fn unix_micros() -> i64 {
    #[allow(clippy::disallowed_methods, reason = "this is the one clock that the ban points to")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
