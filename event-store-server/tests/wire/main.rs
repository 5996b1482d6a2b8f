//! The server as its clients see it: real calls over real sockets, on real files.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

mod append;
mod bad_input;
mod batch_append;
mod delete;
mod lifecycle;
mod links;
mod metadata;
mod process;
mod program;
mod read_all;
mod read_stream;
mod subscribe;
mod support;
