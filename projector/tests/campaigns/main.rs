//! Faults that the read models survive, each tried a few times here and any number of times by `cargo xtask campaign`.
//! After each, `replay verify` finds nothing.
//!
//! Where a projector is to die, PostgreSQL holds it: a trigger of the test's own waits there for a lock. So the program
//! under test is the one that is shipped, without fail points in it.
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
mod library;
mod n1_postgresql_cut_off;
mod n3_no_connection_left;
mod p1_killed_at_every_point;
mod p2_doubled_and_late;
mod p3_poisoned_streams;
mod p5_paused_past_the_lease;
#[allow(dead_code, reason = "it is shared, and these tests need a part of it")]
#[path = "../on_real_stores/store.rs"]
mod store;
#[allow(dead_code, reason = "it is shared, and these tests need a part of it")]
#[path = "../on_real_stores/wire.rs"]
mod wire;
