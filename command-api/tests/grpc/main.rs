//! The command side over gRPC, by a real client, against a real event store server in a process of its own.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

mod bad_input;
mod beside;
mod client;
mod commands;
mod limits;
#[path = "../http/program.rs"]
#[allow(dead_code, reason = "the tests over HTTP use the rest")]
mod program;
mod stopping;
#[path = "../http/support.rs"]
#[allow(dead_code, reason = "the tests over HTTP use the rest")]
mod support;
