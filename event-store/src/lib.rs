//! The event store as the rest of the system sees it: a port, [`EventStore`], and its one adapter, [`Kurrent`], over
//! the EventStoreDB protocol.
//!
//! Bytes, revisions and positions only. Absent on purpose: any knowledge of books, of HTTP, or of which server
//! stands behind the connection string.

pub mod contract;
mod kurrent;
mod store;

pub use kurrent::{Kurrent, KurrentError, Options};
pub use store::{
    AppendError, Appended, ContentType, Direction, EventStore, Expected, Filter, Follow, Heard, NewEvent,
    Position, ReadError, Start, StoredEvent,
};
