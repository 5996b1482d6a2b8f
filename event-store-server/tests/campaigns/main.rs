//! Faults that the server survives, each tried a few times here and any number of times by `cargo xtask campaign`.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

mod d1_killed_under_writers;
#[path = "../wire/process.rs"]
#[allow(dead_code, unused_imports, reason = "it is there for both test programs")]
mod process;
#[path = "../wire/support.rs"]
#[allow(dead_code, unused_imports, reason = "it is there for both test programs")]
mod support;
