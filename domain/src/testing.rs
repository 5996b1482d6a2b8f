//! given(events).when(command).then(events), or .refused(reason): how the rules are told.

use crate::book::{Book, BookEvent, BookId, Corrected, Renewed, Skipped, Stock, Warehoused};
use crate::{Decide, Evolve, Timestamp, fold};
use proptest::prelude::*;
use std::fmt::Debug;

/// The state that has seen these events.
pub(crate) fn given(events: impl IntoIterator<Item = BookEvent>) -> Given {
    Given { book: fold(&events.into_iter().collect::<Vec<_>>()) }
}

pub(crate) struct Given {
    book: Book,
}

pub(crate) struct Decided<Refusal> {
    book: Book,
    decision: Result<Vec<BookEvent>, Refusal>,
}

impl Given {
    pub(crate) fn when<C: Decide<State = Book>>(self, command: &C) -> Decided<C::Refusal> {
        let decision = command.decide(&self.book);
        Decided { book: self.book, decision }
    }
}

impl<Refusal: Debug + PartialEq> Decided<Refusal> {
    #[track_caller]
    pub(crate) fn events(self) -> Vec<BookEvent> {
        self.decision.unwrap()
    }

    #[track_caller]
    pub(crate) fn then(self, expected: impl IntoIterator<Item = BookEvent>) -> Happened {
        let events = self.decision.unwrap();
        assert_eq!(events, expected.into_iter().collect::<Vec<_>>());
        Happened { book: events.iter().fold(self.book, Book::evolve) }
    }

    #[track_caller]
    pub(crate) fn refused(self, expected: Refusal) {
        assert_eq!(self.decision.unwrap_err(), expected);
    }
}

pub(crate) struct Happened {
    book: Book,
}

impl Happened {
    #[track_caller]
    pub(crate) fn with_stock(self, stock: Stock) {
        assert_eq!(self.book.holding().unwrap().stock, stock);
    }

    #[track_caller]
    pub(crate) fn unknown(self) {
        assert_eq!(self.book, Book::Unknown);
    }
}

pub(crate) fn book_id() -> BookId {
    BookId::try_from(1).unwrap()
}

/// So many seconds into the tests' time.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_micros(1_700_000_000_000_000 + second * 1_000_000).unwrap()
}

pub(crate) fn warehoused(qty: u64, version: &str, name: Option<&str>) -> BookEvent {
    BookEvent::Warehoused(Warehoused {
        book_id: book_id(),
        qty: qty.try_into().unwrap(),
        version: version.parse().unwrap(),
        name: name.map(|name| name.parse().unwrap()),
        occurred_at: at(0),
    })
}

pub(crate) fn warehoused_at(qty: u64, second: i64) -> BookEvent {
    BookEvent::Warehoused(Warehoused {
        book_id: book_id(),
        qty: qty.try_into().unwrap(),
        version: "1.0".parse().unwrap(),
        name: None,
        occurred_at: at(second),
    })
}

pub(crate) fn renewed(version: &str) -> BookEvent {
    BookEvent::Renewed(Renewed {
        book_id: book_id(),
        version: version.parse().unwrap(),
        stock: 100,
        occurred_at: at(0),
    })
}

pub(crate) fn corrected(qty_delta: i64) -> BookEvent {
    BookEvent::Corrected(Corrected {
        book_id: book_id(),
        qty_delta: qty_delta.try_into().unwrap(),
        reason: "miscounted".parse().unwrap(),
        occurred_at: at(0),
    })
}

pub(crate) fn skipped(revision: u64) -> BookEvent {
    BookEvent::Skipped(Skipped {
        book_id: book_id(),
        revision,
        reason: "unreadable".parse().unwrap(),
        occurred_at: at(0),
    })
}

/// Any event that a stream could hold, sensible there or not.
pub(crate) fn any_event() -> impl Strategy<Value = BookEvent> {
    let version =
        || (1u32..=10_000).prop_map(|hundredths| format!("{}.{:02}", hundredths / 100, hundredths % 100));
    let warehousing = (
        1u64..=1_000_000,
        version().prop_filter("zero is no edition", |v| v != "0.00"),
        proptest::option::of("[a-z가-힣]{1,9}"),
    )
        .prop_map(|(qty, version, name)| warehoused(qty, &version, name.as_deref()));
    let correction =
        (-1_000_000_000i64..=1_000_000_000).prop_filter("zero changes nothing", |delta| *delta != 0);
    prop_oneof![
        warehousing,
        version().prop_map(|version| renewed(&version)),
        correction.prop_map(corrected),
        (0u64..50).prop_map(skipped)
    ]
}
