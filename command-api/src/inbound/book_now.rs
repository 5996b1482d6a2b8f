//! The answer to every command.

use crate::transact::Outcome;
use domain::book::{Book, BookId, BookName, Edition, Stock};
use event_store::{Appended, Position};
use serde::{Serialize, Serializer};
use service_kit::Problem;

/// A book as a command or the stream's last event left it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookNow {
    pub(super) book_id: BookId,
    pub(super) name: Option<BookName>,
    pub(super) version: Edition,
    pub(super) stock: Stock,
    pub(super) revision: u64,
    #[serde(serialize_with = "as_text")]
    pub(super) position: Position,
    /// Whether this is the first answer again.
    #[serde(skip)]
    pub(super) repeated: bool,
}

impl BookNow {
    /// The book that is there after a command.
    pub(super) fn after(book_id: BookId, outcome: Outcome<Book>) -> Result<Self, Problem> {
        let found = outcome.last.and_then(|last| Self::at(book_id, &outcome.state, last));
        found.map(|book| Self { repeated: outcome.repeated, ..book }).ok_or_else(|| {
            Problem::internal(&format_args!("a command for book {book_id} was booked and there is no book"))
        })
    }

    /// The book in this state, if it is known in it.
    pub(super) fn at(book_id: BookId, book: &Book, at: Appended) -> Option<Self> {
        book.holding().map(|holding| Self {
            book_id,
            name: holding.name.clone(),
            version: holding.edition,
            stock: holding.stock,
            revision: at.revision,
            position: at.position,
            repeated: false,
        })
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_text<S: Serializer>(position: &Position, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(position)
}
