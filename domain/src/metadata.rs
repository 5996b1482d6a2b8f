//! What is stored around every event.

use serde::{Deserialize, Serialize};

/// The version of the event shapes that this code writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Who and what stood behind a stored event, as far as its metadata tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Who caused it.
    pub actor: Option<String>,
    /// What it has in common with all that followed from one request.
    pub correlation_id: Option<String>,
    /// The W3C trace context it happened in.
    pub traceparent: Option<String>,
}

/// The metadata of a stored event. The `$` names are those that EventStoreDB's own tools understand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata<After> {
    /// The version of the event's shape; see [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The state after this event: one event is enough to load a state or to repeat an answer.
    pub after: After,
    /// The key of the intention behind it, the client's own or one made by the server.
    pub idempotency_key: String,
    /// SHA-256 of the canonical command, in hex: another command under the same key is told apart by it.
    pub command_hash: String,
    /// Who caused it: a token's pseudonymous subject, never a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// How many events of the same append come after this one: several commands may have gone out together, and the
    /// last of their events stands where all of them were answered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_in_append: u64,
    /// What all that follows from one request has in common.
    #[serde(rename = "$correlationId")]
    pub correlation_id: String,
    /// The message that directly caused this event.
    #[serde(rename = "$causationId")]
    pub causation_id: String,
    /// The W3C trace context it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
