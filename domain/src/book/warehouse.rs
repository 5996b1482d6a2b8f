//! 입고: copies of a book come in.

use super::edition::Edition;
use super::event::{BookEvent, Warehoused};
use super::id::BookId;
use super::name::BookName;
use super::quantity::{MAX_STOCK, Quantity, Stock};
use super::state::Book;
use crate::decider::{Command, Decide};
use crate::timestamp::Timestamp;
use serde::Serialize;

/// Warehouse copies of a book. The first time makes the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warehouse {
    /// Which book.
    pub book_id: BookId,
    /// How many copies.
    pub qty: Quantity,
    /// The edition they are believed to be of; 1.0 for a new book, the current one for any other.
    pub version: Option<Edition>,
    /// What the book is called from now on.
    pub name: Option<BookName>,
    /// What a new book is called if nobody says.
    #[serde(skip)]
    pub default_name: Option<BookName>,
    /// When.
    #[serde(skip)]
    pub at: Timestamp,
}

/// Why copies are not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WarehouseError {
    /// They are of another edition than the library holds.
    #[error("the current edition is {current}, not {given}; leave the version out, or renew the book first")]
    EditionMismatch {
        /// The library's edition.
        current: Edition,
        /// The command's.
        given: Edition,
    },
    /// The library would hold more than it can.
    #[error("{stock} copies are in stock and {MAX_STOCK} is the most; {qty} more do not fit")]
    StockLimit {
        /// The copies in stock.
        stock: Stock,
        /// The copies that came.
        qty: u32,
    },
}

impl Decide for Warehouse {
    type State = Book;
    type Refusal = WarehouseError;

    fn decide(&self, book: &Book) -> Result<Vec<BookEvent>, WarehouseError> {
        let (version, name) = match book {
            Book::Unknown => {
                (self.version.unwrap_or(Edition::FIRST), self.name.as_ref().or(self.default_name.as_ref()))
            }
            Book::Known(holding) => {
                let current = holding.edition;
                if let Some(given) = self.version.filter(|given| *given != current) {
                    return Err(WarehouseError::EditionMismatch { current, given });
                }
                let qty = self.qty.get();
                if holding.stock.saturating_add(qty) > MAX_STOCK {
                    return Err(WarehouseError::StockLimit { stock: holding.stock, qty });
                }
                (current, self.name.as_ref())
            }
        };
        Ok(vec![BookEvent::Warehoused(Warehoused {
            book_id: self.book_id,
            qty: self.qty,
            version,
            name: name.cloned(),
            occurred_at: book.not_before(self.at),
        })])
    }
}

impl Command for Warehouse {
    const NAME: &'static str = "Warehouse";

    fn stream(&self) -> String {
        self.book_id.stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, book_id, given, renewed, warehoused, warehoused_at};

    fn warehouse(qty: u64) -> Warehouse {
        Warehouse {
            book_id: book_id(),
            qty: qty.try_into().unwrap(),
            version: None,
            name: None,
            default_name: None,
            at: at(0),
        }
    }

    fn of(version: &str) -> Option<Edition> {
        Some(version.parse().unwrap())
    }

    #[test]
    fn the_first_warehousing_makes_the_book_in_its_first_edition() {
        given([]).when(&warehouse(123)).then([warehoused(123, "1.0", None)]).with_stock(123);
    }

    #[test]
    fn the_first_warehousing_may_name_the_edition() {
        given([])
            .when(&Warehouse { version: of("3.25"), ..warehouse(1) })
            .then([warehoused(1, "3.25", None)]);
    }

    #[test]
    fn a_warehousing_adds_to_the_stock() {
        given([warehoused(123, "1.0", None)])
            .when(&warehouse(7))
            .then([warehoused(7, "1.0", None)])
            .with_stock(130);
    }

    #[test]
    fn a_warehousing_after_a_renewal_adds_to_the_first_run() {
        given([warehoused(5, "1.0", None), renewed("2.0")])
            .when(&Warehouse { version: of("2.0"), ..warehouse(7) })
            .then([warehoused(7, "2.0", None)])
            .with_stock(107);
    }

    #[test]
    fn copies_of_another_edition_are_refused() {
        given([warehoused(5, "1.0", None)]).when(&Warehouse { version: of("1.5"), ..warehouse(7) }).refused(
            WarehouseError::EditionMismatch { current: Edition::FIRST, given: "1.5".parse().unwrap() },
        );
    }

    #[test]
    fn more_than_the_library_can_hold_is_refused() {
        let full: Vec<_> = (0..1_000).map(|_| warehoused(1_000_000, "1.0", None)).collect();
        given(full).when(&warehouse(1)).refused(WarehouseError::StockLimit { stock: 1_000_000_000, qty: 1 });
    }

    #[test]
    fn the_default_name_is_for_new_books_only() {
        let default_name = Some("HarryPorter".parse().unwrap());
        given([]).when(&Warehouse { default_name: default_name.clone(), ..warehouse(1) }).then([warehoused(
            1,
            "1.0",
            Some("HarryPorter"),
        )]);
        given([warehoused(1, "1.0", Some("A"))])
            .when(&Warehouse { default_name, ..warehouse(1) })
            .then([warehoused(1, "1.0", None)]);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_reorder_events() {
        given([warehoused_at(5, 60)])
            .when(&Warehouse { at: at(30), ..warehouse(1) })
            .then([warehoused_at(1, 60)]);
    }

    #[test]
    fn the_canonical_form_leaves_out_what_a_repeat_may_carry_anew() {
        let again = Warehouse { at: at(99), default_name: Some("X".parse().unwrap()), ..warehouse(7) };
        let canonical = |command: &Warehouse| serde_json::to_string(command).unwrap();
        assert_eq!(canonical(&again), canonical(&warehouse(7)));
        assert_ne!(canonical(&warehouse(7)), canonical(&warehouse(8)));
    }
}
