//! An event store server in one process and one directory: durable, and wire-compatible with EventStoreDB for what
//! it supports (see the README of this crate).
//!
//! [`EventStoreServer::open`] opens the data directory, [`EventStoreServer::serve`] answers calls until it is told
//! to stop. Inside, `log` keeps the events and knows nothing of the wire; `rpc` speaks the wire and knows nothing of
//! SQLite.
#![forbid(unsafe_code)]

mod config;
mod connection;
mod http;
mod log;
pub mod maintenance;
mod memory;
mod protocol;
mod request_body;
mod rpc;
mod runtime;
mod server;
mod tls;
mod users;

pub use config::{Config, Limits};
pub use log::OpenError;
pub use runtime::runtime;
pub use server::{EventStoreServer, ServeError};
pub use tls::{Tls, TlsError};
pub use users::{UsersError, hash_password};
