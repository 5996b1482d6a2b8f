//! One token that every task watches, cancelled by Ctrl-C or SIGTERM.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Whether this process was told to stop.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Watches for SIGINT and SIGTERM from now on. The first of them makes `/readyz` say that this process is stopping, so
/// that balancers send it nothing new; the token is cancelled `delay` later, or at once by the second one.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub fn on_signal(delay: Duration) -> std::io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            }
        };
        let name = next().await;
        STOPPING.store(true, Ordering::Relaxed);
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(signal = name, delay_ms, "stopping");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = next() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}

/// Whether this process was told to stop.
pub(crate) fn is_stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}
