//! The server as its clients see it: real calls over real sockets, on real files.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

mod access;
mod append;
mod bad_input;
mod batch_append;
mod clients;
mod damage;
mod delete;
mod http;
mod lifecycle;
mod links;
mod metadata;
mod operations;
#[allow(dead_code, reason = "it is there for both test programs")]
mod process;
mod program;
mod read_all;
mod read_stream;
mod subscribe;
mod support;
mod unfinished;
mod unread;
mod unsent;
