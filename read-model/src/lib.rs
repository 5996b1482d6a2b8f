//! What readers see: the views, one file each, the generations of tables they live in, and the one transaction that
//! moves them on.
//!
//! The projector writes: [`migrate`], [`generation`], [`lease`], [`batch`]. The query side reads: [`Reader`] and the
//! functions of each view, such as [`book_stock::by_id`]. Absent on purpose: any knowledge of the event store, of HTTP,
//! and any way for a view to do anything but turn events into rows.
#![forbid(unsafe_code)]

pub mod admin_list;
pub mod batch;
pub mod book_stock;
pub mod database;
pub mod generation;
pub mod lease;
mod migrate;
mod page;
mod position;
mod reader;
mod search;
mod value;
pub mod view;

pub use database::{Database, DatabaseError};
pub use migrate::{MigrateError, migrate};
pub use page::{Order, Page, PageRequest, SortColumn};
pub use position::Behind;
pub use reader::{At, Reader, ReaderError, ReaderOptions};
pub use value::Unreadable;
pub use view::{Happening, View};
