//! 재판: a book is reprinted as a new edition.

use super::edition::Edition;
use super::event::{BookEvent, Renewed};
use super::id::BookId;
use super::quantity::Stock;
use super::state::Book;
use crate::decider::{Command, Decide};
use crate::timestamp::Timestamp;
use serde::Serialize;

/// The copies of a new edition's first run (초행).
pub const FIRST_RUN: Stock = 100;

/// Renew a book: a new edition, with a first run of 100 copies as its stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Renew {
    /// Which book.
    pub book_id: BookId,
    /// The new edition, greater than the current one; the next whole number if left out.
    pub version: Option<Edition>,
    /// When.
    #[serde(skip)]
    pub at: Timestamp,
}

/// Why a book is not renewed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// There is nothing to renew.
    #[error("book {0} is unknown; warehouse it first")]
    UnknownBook(BookId),
    /// The edition would not go forward.
    #[error("the current edition is {current}; a renewal needs a greater one than that, not {given}")]
    EditionNotGreater {
        /// The library's edition.
        current: Edition,
        /// The command's.
        given: Edition,
    },
    /// No whole number is left after the current edition.
    #[error("no edition comes after {0}")]
    LastEdition(Edition),
}

impl Decide for Renew {
    type State = Book;
    type Refusal = RenewError;

    fn decide(&self, book: &Book) -> Result<Vec<BookEvent>, RenewError> {
        let current = book.holding().ok_or(RenewError::UnknownBook(self.book_id))?.edition;
        let version = match self.version {
            Some(given) if given <= current => {
                return Err(RenewError::EditionNotGreater { current, given });
            }
            Some(given) => given,
            None => current.next_whole().ok_or(RenewError::LastEdition(current))?,
        };
        Ok(vec![BookEvent::Renewed(Renewed {
            book_id: self.book_id,
            version,
            stock: FIRST_RUN,
            occurred_at: book.not_before(self.at),
        })])
    }
}

impl Command for Renew {
    const NAME: &'static str = "Renew";

    fn stream(&self) -> String {
        self.book_id.stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, book_id, given, renewed, warehoused, warehoused_at};

    fn renew(version: Option<&str>) -> Renew {
        let version = version.map(|version| version.parse().unwrap());
        Renew { book_id: book_id(), version, at: at(0) }
    }

    #[test]
    fn a_renewal_sets_the_stock_to_a_hundred() {
        given([warehoused(123, "1.0", None)])
            .when(&renew(Some("2.0")))
            .then([renewed("2.0")])
            .with_stock(100);
    }

    #[test]
    fn a_renewal_without_a_version_takes_the_next_whole_number() {
        given([warehoused(5, "1.25", None)]).when(&renew(None)).then([renewed("2.0")]);
    }

    #[test]
    fn an_unknown_book_cannot_be_renewed() {
        given([]).when(&renew(Some("2.0"))).refused(RenewError::UnknownBook(book_id()));
    }

    #[test]
    fn a_renewal_must_go_forward() {
        let current = "2.0".parse().unwrap();
        for given_version in ["2.0", "1.99"] {
            given([warehoused(5, "2.0", None)])
                .when(&renew(Some(given_version)))
                .refused(RenewError::EditionNotGreater { current, given: given_version.parse().unwrap() });
        }
    }

    #[test]
    fn after_the_last_edition_there_is_none() {
        let last = "1000000".parse().unwrap();
        given([warehoused(5, "1000000", None)]).when(&renew(None)).refused(RenewError::LastEdition(last));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_reorder_events() {
        let events = given([warehoused_at(5, 60)]).when(&renew(None)).events();
        assert_eq!(events[0].occurred_at(), at(60));
    }
}
