//! An event that nobody can read, as a tool or a later release could leave it.

use crate::PATIENCE;
use event_store::{ContentType, EventStore as _, Expected, Kurrent, NewEvent, Options};
use uuid::Uuid;

/// Appends one to the stream of `book` in the store at `url`, where nothing came since `expected`. Answers its position.
///
/// # Panics
/// When the store does not take it.
pub async fn shred(url: &str, book: u64, expected: Expected) -> u64 {
    let patient = Options { call_timeout: PATIENCE, ..Options::default() };
    let store = Kurrent::connect(url, patient).unwrap();
    let shredded = NewEvent {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, b"shredded"),
        event_type: "Shredded".to_owned(),
        content_type: ContentType::Json,
        data: "{}".into(),
        metadata: "{}".into(),
    };
    store.append(&format!("book-{book}"), expected, vec![shredded]).await.unwrap().position.0
}
