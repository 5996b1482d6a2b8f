//! The rules of the book stock.
//!
//! Pure: a command and a state give events or a refusal, a state and an event give a state. Absent on purpose: IO,
//! a clock, randomness, async; time and ids come in with the command. Everything here can be tested without
//! starting anything.
#![forbid(unsafe_code)]

pub mod book;
pub mod decider;
pub mod metadata;
#[cfg(test)]
mod testing;
mod timestamp;

pub use decider::{Command, Decide, Evolve, Persist, fold};
pub use metadata::Metadata;
pub use timestamp::{NotATime, Timestamp};
