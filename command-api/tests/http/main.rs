//! The command side over HTTP, against a real event store server in a process of its own.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

#[allow(unreachable_pub, reason = "a library shares it")]
#[path = "../../../e2e/src/awake.rs"]
mod awake;
mod bad_input;
mod batches;
mod conditions;
mod deleted;
mod history;
mod hot_book;
mod interface;
mod limits;
mod list_limits;
mod list_stopping;
mod outage;
#[allow(dead_code, reason = "the tests over gRPC use the rest")]
mod program;
mod reading;
mod repeats;
mod replicas;
#[allow(dead_code, reason = "the tests over gRPC use the rest")]
mod support;
mod wire;
