//! Faults that the server survives, each tried a few times here and any number of times by `cargo xtask campaign`.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

mod d1_killed_under_writers;
mod d3_sync_fails;
mod d4_disk_full;
mod d6_bits_flipped;
mod d7_clock_steps;
mod d8_concurrent_histories;
mod d9_lost_replies;
#[path = "../wire/process.rs"]
#[allow(dead_code, unused_imports, reason = "it is there for both test programs")]
mod process;
mod s5_garbage_on_the_wire;
#[path = "../wire/support.rs"]
#[allow(dead_code, unused_imports, reason = "it is there for both test programs")]
mod support;
