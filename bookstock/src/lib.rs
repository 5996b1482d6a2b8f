//! The launcher: the whole system in one process, and the receiving of delivery lists. One subcommand, one file.
#![forbid(unsafe_code)]

pub mod postgres;
pub mod receive;
pub mod up;
