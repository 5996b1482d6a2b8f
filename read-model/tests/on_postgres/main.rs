//! The read models on a real PostgreSQL.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml allows them in tests, not in what tests share"
)]

mod cluster;
mod generations;
mod given;
mod golden;
mod history;
mod leases;
mod memory;
mod parking;
mod reading;
mod rights;
mod sorting;
mod writing;
