//! How a list hears that its service stops, and how it is left then.

use super::rows::Rows;
use axum::extract::Request;
use service_kit::listen::Stopping;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a list that is left is read over: what is unread when its connection is closed can take the answer with it.
const READ_OVER: Duration = Duration::from_secs(1);

/// Cancelled when whoever took the request stops.
pub(super) fn of(request: &Request) -> CancellationToken {
    let stopping = request.extensions().get::<Stopping>();
    stopping.map_or_else(CancellationToken::new, |Stopping(stopping)| stopping.clone())
}

impl Rows {
    /// Reads over what comes soon.
    pub(super) async fn read_over(&mut self) {
        let _ = timeout(READ_OVER, self.drain()).await;
    }
}
