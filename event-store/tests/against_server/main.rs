//! The adapter against our own server as a separate process, which tests may kill and freeze.

#![cfg(test)]

mod contract;
#[cfg(target_os = "linux")]
mod nodelay;
mod outages;
mod server;
mod sessions;
mod support;
mod turns;
