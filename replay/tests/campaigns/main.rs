//! Faults that the replay tool survives, each tried a few times here and any number of times by `cargo xtask campaign`.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

#[allow(dead_code, reason = "it is shared, and these tests need a part of it")]
#[path = "../../../read-model/tests/on_postgres/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "it is shared, and these tests need a part of it")]
#[path = "../on_real_stores/given.rs"]
mod given;
mod p4_rebuilt_under_writes;
#[allow(dead_code, reason = "it is shared, and these tests need a part of it")]
#[path = "../../../projector/tests/on_real_stores/store.rs"]
mod store;
