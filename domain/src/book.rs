//! The book: one aggregate, one stream `book-<id>`. This file only lists.

mod correct;
mod edition;
mod event;
mod id;
mod name;
mod quantity;
mod reason;
mod renew;
mod skip;
mod state;
mod warehouse;

pub use correct::{Correct, CorrectError};
pub use edition::{Edition, EditionError};
pub use event::{BookEvent, Corrected, Renewed, Skipped, Warehoused};
pub use id::{BookId, BookIdError, STREAM_PREFIX};
pub use name::{BookName, BookNameError};
pub use quantity::{MAX_STOCK, QtyDelta, QtyDeltaError, Quantity, QuantityError, Stock};
pub use reason::{MAX_REASON_CHARS, Reason, ReasonError};
pub use renew::{FIRST_RUN, Renew, RenewError};
pub use skip::Skip;
pub use state::{After, Book, Holding};
pub use warehouse::{Warehouse, WarehouseError};
