//! The messages and the service generated from `proto/`, and the definition itself.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::wildcard_enum_match_arm,
    reason = "generated; the definition in proto/ carries the words"
)]

include!(concat!(env!("OUT_DIR"), "/server/bookstock.v1.rs"));

/// The definition, for reflection.
pub(super) const DEFINITIONS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/definitions.bin"));
