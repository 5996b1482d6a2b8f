//! Patience with who is in the way: a projector that folds a long stream anew, or makes indexes, has rows locked meanwhile.

use anyhow::Context as _;
use std::time::{Duration, Instant};

/// How long it is tried again.
const PATIENCE: Duration = Duration::from_secs(15);

/// Does something, and again as long as `is_contention` says of its error that somebody else kept it from being done. What
/// it does waits for locks itself, for as long as those may wait who come after it.
///
/// # Errors
/// Any other error of it, or at last that one.
pub(crate) async fn patiently<T, E: Into<anyhow::Error>>(
    mut act: impl AsyncFnMut() -> Result<T, E>,
    is_contention: impl Fn(&E) -> bool,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        match act().await {
            Err(error) if is_contention(&error) => {
                if started.elapsed() > PATIENCE {
                    return Err(error.into()).with_context(|| {
                        format!(
                            "for {} s somebody has been writing what this is about, such as a projector that folds a long \
                             stream anew; it was not done, try again later",
                            PATIENCE.as_secs()
                        )
                    });
                }
            }
            done => return done.map_err(Into::into),
        }
    }
}
