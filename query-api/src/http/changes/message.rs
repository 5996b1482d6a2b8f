//! What a client of changes is sent, as it is on the wire.

use super::live::Beat;
use crate::http::shown::Shown;
use axum::body::Bytes;
use serde_json::{Value, json};

/// A message that brings a client to `position`.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) position: u64,
    pub(super) bytes: Bytes,
}

/// Books as they are at `position`.
pub(super) fn written<V: Shown>(position: u64, generation: i32, rows: &[V::Row]) -> Message {
    let books = rows.iter().map(|row| serde_json::to_value(V::json(row, None)));
    // A row is always JSON; if one were not, it would be left out, and the others told.
    let books: Vec<Value> = books.filter_map(Result::ok).collect();
    let data = json!({"position": position.to_string(), "generation": generation, V::LIST: books});
    Message { position, bytes: event("changes", position, &data) }
}

/// The read models were made anew: what a client has may differ from them, whatever its position is.
pub(super) fn reset(beat: Beat) -> Bytes {
    let data = json!({"position": beat.position.to_string(), "generation": beat.generation});
    event("reset", beat.position, &data)
}

/// The last message for a client that reads too slowly.
pub(super) fn dropped(position: u64) -> Bytes {
    event("dropped", position, &json!({"position": position.to_string()}))
}

/// A sign of life.
pub(super) fn heartbeat() -> Bytes {
    Bytes::from_static(b": heartbeat\n\n")
}

fn event(name: &str, position: u64, data: &Value) -> Bytes {
    format!("id: {position}\nevent: {name}\ndata: {data}\n\n").into()
}
