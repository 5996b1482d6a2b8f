//! How long something took, on a machine on which a process may stand still for a while.

use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How often this process looks whether it stood still.
const TICK: Duration = Duration::from_millis(20);

/// Awaits `something`, and tells how long that took, without the time for which this process stood still meanwhile.
pub async fn awake<T>(something: impl Future<Output = T>) -> (T, Duration) {
    let mut something = pin!(something);
    let mut took = Duration::ZERO;
    loop {
        let began = Instant::now();
        let done = timeout(TICK, &mut something).await;
        took += began.elapsed().min(TICK);
        if let Ok(done) = done {
            return (done, took);
        }
    }
}
