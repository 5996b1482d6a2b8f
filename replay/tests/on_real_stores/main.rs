//! The replay tool, as the program that it is, on a real event store and a real PostgreSQL.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

#[allow(dead_code, reason = "it is shared, and these tests need a part of it")]
#[path = "../../../read-model/tests/on_postgres/cluster.rs"]
mod cluster;
mod deleted;
mod given;
mod golden;
mod looking;
mod moving;
mod parked;
mod rebuilding;
#[allow(dead_code, reason = "it is shared, and these tests need a part of it")]
#[path = "../../../projector/tests/on_real_stores/store.rs"]
mod store;
mod verifying;
