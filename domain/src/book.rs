//! The book: one aggregate, one stream `book-<id>`. This file only lists.

mod edition;
mod event;
mod id;
mod name;
mod quantity;
mod renew;
mod state;
mod warehouse;

pub use edition::{Edition, EditionError};
pub use event::{BookEvent, Renewed, Warehoused};
pub use id::{BookId, BookIdError, STREAM_PREFIX};
pub use name::{BookName, BookNameError};
pub use quantity::{MAX_STOCK, Quantity, QuantityError, Stock};
pub use renew::{FIRST_RUN, Renew, RenewError};
pub use state::{After, Book, Holding};
pub use warehouse::{Warehouse, WarehouseError};
