//! Waiting for a condition, never for a duration.

use std::time::{Duration, Instant};

/// How long a test waits for what has to come, also on a machine with too much to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long commands wait for the event store where a test is about something else: as long as they may.
pub(crate) const PATIENT_MS: &str = "19000";

/// How long to leave the machine to those who are waited for between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` finds something.
///
/// # Panics
/// When [`PATIENCE`] is at its end; the message tells what did not come, and what was seen last instead.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(instead) => {
                assert!(started.elapsed() < PATIENCE, "{what}: this did not come; instead: {instead}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
