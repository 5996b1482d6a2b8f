//! 재고 정정: the stock is put right, for copies that were miscounted, lost or withdrawn.

use super::event::{BookEvent, Corrected};
use super::id::BookId;
use super::quantity::{MAX_STOCK, QtyDelta, Stock};
use super::reason::Reason;
use super::state::Book;
use crate::decider::{Command, Decide};
use crate::timestamp::Timestamp;
use serde::Serialize;

/// Correct the stock of a book by so many copies, and say why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Correct {
    /// Which book.
    pub book_id: BookId,
    /// How many copies more or fewer there are than the stock says.
    pub qty_delta: QtyDelta,
    /// Why the stock was wrong.
    pub reason: Reason,
    /// When.
    #[serde(skip)]
    pub at: Timestamp,
}

/// Why a stock is not corrected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorrectError {
    /// There is nothing to correct.
    #[error("book {0} is unknown; warehouse it first")]
    UnknownBook(BookId),
    /// More copies would go than there are.
    #[error("{stock} copies are in stock; a correction by {qty_delta} would leave less than none")]
    BelowZero {
        /// The copies in stock.
        stock: Stock,
        /// The command's.
        qty_delta: QtyDelta,
    },
    /// The library would hold more than it can.
    #[error("{stock} copies are in stock and {MAX_STOCK} is the most; {qty_delta} more do not fit")]
    StockLimit {
        /// The copies in stock.
        stock: Stock,
        /// The command's.
        qty_delta: QtyDelta,
    },
}

impl Decide for Correct {
    type State = Book;
    type Refusal = CorrectError;

    fn decide(&self, book: &Book) -> Result<Vec<BookEvent>, CorrectError> {
        let stock = book.holding().ok_or(CorrectError::UnknownBook(self.book_id))?.stock;
        let qty_delta = self.qty_delta;
        match stock.checked_add_signed(qty_delta.get()) {
            None => return Err(CorrectError::BelowZero { stock, qty_delta }),
            Some(corrected) if corrected > MAX_STOCK => {
                return Err(CorrectError::StockLimit { stock, qty_delta });
            }
            Some(_) => {}
        }
        Ok(vec![BookEvent::Corrected(Corrected {
            book_id: self.book_id,
            qty_delta,
            reason: self.reason.clone(),
            occurred_at: book.not_before(self.at),
        })])
    }
}

impl Command for Correct {
    const NAME: &'static str = "Correct";

    fn stream(&self) -> String {
        self.book_id.stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, book_id, corrected, given, renewed, warehoused, warehoused_at};

    fn correct(qty_delta: i64) -> Correct {
        Correct {
            book_id: book_id(),
            qty_delta: qty_delta.try_into().unwrap(),
            reason: "miscounted".parse().unwrap(),
            at: at(0),
        }
    }

    #[test]
    fn a_correction_adds_to_the_stock_or_takes_from_it() {
        given([warehoused(1230, "1.0", None)]).when(&correct(-1107)).then([corrected(-1107)]).with_stock(123);
        given([warehoused(5, "1.0", None)]).when(&correct(7)).then([corrected(7)]).with_stock(12);
    }

    #[test]
    fn the_last_copy_may_be_gone_and_the_book_stays_known() {
        given([warehoused(5, "1.0", None)]).when(&correct(-5)).then([corrected(-5)]).with_stock(0);
        given([warehoused(5, "1.0", None), corrected(-5)])
            .when(&correct(1))
            .then([corrected(1)])
            .with_stock(1);
    }

    #[test]
    fn a_correction_after_a_renewal_is_one_of_the_first_run() {
        given([warehoused(5, "1.0", None), renewed("2.0")])
            .when(&correct(-1))
            .then([corrected(-1)])
            .with_stock(99);
    }

    #[test]
    fn an_unknown_book_cannot_be_corrected() {
        given([]).when(&correct(1)).refused(CorrectError::UnknownBook(book_id()));
    }

    #[test]
    fn a_stock_never_goes_below_zero() {
        let qty_delta = (-6).try_into().unwrap();
        given([warehoused(5, "1.0", None)])
            .when(&correct(-6))
            .refused(CorrectError::BelowZero { stock: 5, qty_delta });
    }

    #[test]
    fn more_than_the_library_can_hold_is_refused() {
        let qty_delta = 1_000_000_000.try_into().unwrap();
        given([warehoused(1, "1.0", None)])
            .when(&correct(1_000_000_000))
            .refused(CorrectError::StockLimit { stock: 1, qty_delta });
        given([warehoused(1, "1.0", None)])
            .when(&correct(999_999_999))
            .then([corrected(999_999_999)])
            .with_stock(1_000_000_000);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_reorder_events() {
        let events = given([warehoused_at(5, 60)]).when(&correct(1)).events();
        assert_eq!(events[0].occurred_at(), at(60));
    }

    #[test]
    fn another_reason_makes_another_command() {
        let canonical = |command: &Correct| serde_json::to_string(command).unwrap();
        let lost = Correct { reason: "lost".parse().unwrap(), ..correct(1) };
        assert_eq!(canonical(&Correct { at: at(99), ..correct(1) }), canonical(&correct(1)));
        assert_ne!(canonical(&lost), canonical(&correct(1)));
    }
}
