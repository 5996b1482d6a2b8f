//! What the end-to-end tests stand on: real processes on free ports in a directory of each test's own, and short words
//! for what tests do with them.
//!
//! [`System`] is `bookstock up`; [`Topology`] is every part as a process of its own, and
//! [`PlainTopology`] all of production. Whatever a test starts is gone when
//! it ends, and a test that fails shows the end of every log. Absent on purpose: any way past what a user, an operator
//! or a power cut could do.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "this is the harness of tests: it fails as tests do"
)]

mod awake;
mod binaries;
mod browser;
mod collector;
mod eventually;
mod examples;
mod gateway;
mod identity;
mod librarians;
mod place;
mod plain_topology;
mod postgres;
mod process;
mod receiving;
mod shredded;
mod site;
mod system;
mod topology;

pub use awake::awake;
pub use binaries::{binary, command, installed};
pub use browser::Browser;
pub use collector::{Collector, Seen};
pub(crate) use eventually::PATIENT_MS;
pub use eventually::{PATIENCE, eventually};
pub use examples::the_examples;
pub use gateway::{Gateway, free_address};
pub use identity::Identity;
pub use librarians::{Acknowledged, Librarians, assert_booked_once};
pub use place::Place;
pub use plain_topology::PlainTopology;
pub use postgres::{Postgres, connect};
pub use process::{Ended, Process};
pub use receiving::ReceivingList;
pub use shredded::shred;
pub use site::{Answer, Site, assert_shows};
pub use system::System;
pub use topology::{Service, Topology};
