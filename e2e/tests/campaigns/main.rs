//! Faults that the whole system survives, each tried a few times here and any number of times by `cargo xtask campaign`.
#![cfg(test)]
#![forbid(unsafe_code)]

mod a1_every_alert;
mod b1_reproducible;
mod b2_what_they_are_made_of;
mod c1_killed_under_commands;
mod c2_cut_off;
mod c3_no_connection_left;
mod callers;
mod desk;
mod journal;
mod n4_overload;
mod n5_slow_clients;
mod n6_slow_past_the_gateway;
mod n8_rolling_restart;
mod readers;
mod s1_every_operation;
mod writers;
