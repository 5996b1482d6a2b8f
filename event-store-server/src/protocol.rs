//! The messages and services generated from `proto/`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::wildcard_enum_match_arm,
    reason = "generated; the definitions in proto/ carry the words"
)]

include!(concat!(env!("OUT_DIR"), "/server/protocol.rs"));

pub(crate) use event_store::client as shared;
pub(crate) use event_store::client::{gossip, server_features, streams};
pub(crate) use google::rpc;
