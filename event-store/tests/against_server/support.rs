//! What the tests of the adapter share.

use bytes::Bytes;
use event_store::{ContentType, Kurrent, NewEvent, Options};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use uuid::Uuid;

/// How long a test waits for something that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn connect(url: &str, call_timeout: Duration) -> Kurrent {
    Kurrent::connect(url, Options { call_timeout, ..Options::default() }).unwrap()
}

pub(crate) fn event(id: u128) -> NewEvent {
    NewEvent {
        id: Uuid::from_u128(id),
        event_type: "Warehoused".to_owned(),
        content_type: ContentType::Json,
        data: Bytes::from(format!(r#"{{"qty":{id}}}"#)),
        metadata: Bytes::from_static(b"{}"),
    }
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
