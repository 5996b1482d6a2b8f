//! What a client of changes is sent, as it is on the wire.

use crate::http::shown::Shown;
use axum::body::Bytes;
use read_model::State;
use serde_json::{Value, json};

/// A message that brings a client to `position`.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) position: u64,
    pub(super) bytes: Bytes,
}

/// Books as they are, for a client that is brought to the position of `state`.
pub(super) fn written<V: Shown>(state: State, rows: &[V::Row]) -> Message {
    let books = rows.iter().map(|row| serde_json::to_value(V::json(row, None)));
    // A row is always JSON; if one were not, it would be left out, and the others told.
    let books: Vec<Value> = books.filter_map(Result::ok).collect();
    let mut data = place(state);
    data[V::LIST] = books.into();
    Message { position: state.position, bytes: event("changes", state.position, &data) }
}

/// Rows were made anew: what a client has may differ from them, whatever its position is.
pub(super) fn reset(state: State) -> Bytes {
    event("reset", state.position, &place(state))
}

/// Where a client is. What was made anew while it was away, it knows by the generation and the refolds.
fn place(State { generation, refolds, position }: State) -> Value {
    json!({"position": position.to_string(), "generation": generation, "refolds": refolds})
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
