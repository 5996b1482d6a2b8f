//! The query side over HTTP, on a real PostgreSQL.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

#[path = "../../../read-model/tests/on_postgres/cluster.rs"]
mod cluster;
mod support;

mod attacks;
mod bad_input;
mod caching;
mod changes;
mod consistency;
mod crowds;
mod history;
mod interface;
mod limits;
mod lists;
mod outage;
mod paging;
mod parked;
mod permission;
mod program;
mod status;
mod wire;
