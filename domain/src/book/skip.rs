//! 건너뛰기: an event that nobody can read is taken out of its book, by an operator who says why.

use super::event::{BookEvent, Skipped};
use super::id::BookId;
use super::reason::Reason;
use super::state::Book;
use crate::decider::{Command, Decide};
use crate::timestamp::Timestamp;
use serde::Serialize;
use std::convert::Infallible;

/// Take an unreadable event out of a book. It is decided on the book without that event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skip {
    /// Which book.
    pub book_id: BookId,
    /// The revision of the event.
    pub revision: u64,
    /// Why the book is right without it, or as right as it gets.
    pub reason: Reason,
    /// When.
    #[serde(skip)]
    pub at: Timestamp,
}

impl Decide for Skip {
    type State = Book;
    type Refusal = Infallible;

    fn decide(&self, book: &Book) -> Result<Vec<BookEvent>, Infallible> {
        Ok(vec![BookEvent::Skipped(Skipped {
            book_id: self.book_id,
            revision: self.revision,
            reason: self.reason.clone(),
            occurred_at: book.not_before(self.at),
        })])
    }
}

impl Command for Skip {
    const NAME: &'static str = "Skip";

    fn stream(&self) -> String {
        self.book_id.stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, book_id, given, renewed, skipped, warehoused, warehoused_at};

    fn skip(revision: u64) -> Skip {
        Skip { book_id: book_id(), revision, reason: "unreadable".parse().unwrap(), at: at(0) }
    }

    #[test]
    fn a_skip_leaves_the_stock_as_it_was_without_the_event() {
        given([warehoused(5, "1.0", None)]).when(&skip(1)).then([skipped(1)]).with_stock(5);
        given([warehoused(5, "1.0", None), skipped(1), renewed("2.0")])
            .when(&skip(4))
            .then([skipped(4)])
            .with_stock(100);
    }

    #[test]
    fn a_book_whose_only_event_is_skipped_stays_unknown() {
        given([]).when(&skip(0)).then([skipped(0)]).unknown();
    }

    #[test]
    fn a_clock_that_goes_back_does_not_reorder_events() {
        let events = given([warehoused_at(5, 60)]).when(&skip(1)).events();
        assert_eq!(events[0].occurred_at(), at(60));
    }
}
