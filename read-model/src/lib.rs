//! What readers see: the views, one file each, the generations of tables they live in, and the one transaction that
//! moves them on.
//!
//! The projector writes: [`migrate`], [`generation`], [`lease`], [`batch`]. The query side reads: [`Reader`] and the
//! functions of each view, such as [`book_stock::by_id`]. Absent on purpose: any knowledge of the event store, of HTTP,
//! and any way for a view to do anything but turn events into rows.
//!
//! Whoever locks several things takes them in this order, so that nobody waits for one who waits for him: the turn to make,
//! switch or drop generations (the table `active`), the row of the generation (`projection`), the streams that wait in it
//! (`parked`, by book), its own tables.
#![forbid(unsafe_code)]

pub mod admin_list;
pub mod batch;
pub mod book_history;
pub mod book_stock;
pub mod cell;
pub mod database;
mod desk;
pub mod generation;
mod hot;
pub mod lease;
mod list;
mod list_sql;
mod memory;
mod migrate;
pub mod parity;
pub mod parked;
pub mod past;
mod reader;
pub mod refold;
mod search;
pub mod sift;
pub mod sorting;
mod value;
pub mod view;
mod whole;
pub mod write;

pub use database::{Database, DatabaseError};
pub use domain::book::BookId;
pub use lease::Lag;
pub use list::{Column, Filter, Key, ListRequest, Mark, Order, Page, Place, Since};
pub use migrate::{MigrateError, migrate};
pub use reader::{At, Behind, Projection, Reader, ReaderError, ReaderOptions, Standing, State};
pub use search::Words;
pub use value::Unreadable;
pub use view::{Happening, View};
pub use whole::Rows;
pub use write::{Way, Writers};
