//! The projector between a real event store and a real PostgreSQL.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

#[path = "../../../read-model/tests/on_postgres/cluster.rs"]
mod cluster;
mod given;
mod golden;
mod halts;
mod kept;
mod outages;
mod parking;
mod process;
mod projecting;
mod standbys;
mod store;
mod telling;
#[allow(dead_code, reason = "it is shared, and these tests need a part of it")]
mod wire;
