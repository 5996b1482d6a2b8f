//! The book, and how events change it.

use super::edition::Edition;
use super::event::BookEvent;
use super::name::BookName;
use super::quantity::Stock;
use crate::decider::{DecodeError, Evolve, Persist};
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// A book, as far as the library knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Book {
    /// No copy of it ever came in.
    #[default]
    Unknown,
    /// The library holds it, be it with no copy left.
    Known(Holding),
}

/// What the library holds of a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// What it is called, if that was ever said.
    pub name: Option<BookName>,
    /// The current edition.
    pub edition: Edition,
    /// The copies in stock.
    pub stock: Stock,
    /// When the last of its events happened. The next one is never earlier.
    pub occurred_at: Timestamp,
}

/// A holding as the metadata of its last event tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// What the book is called.
    pub name: Option<BookName>,
    /// The current edition.
    pub version: Edition,
    /// The copies in stock.
    pub stock: Stock,
}

impl Book {
    /// What the library holds of it, if it is known.
    #[must_use]
    pub fn holding(&self) -> Option<&Holding> {
        match self {
            Self::Unknown => None,
            Self::Known(holding) => Some(holding),
        }
    }

    /// The time of an event that is decided at `now`: a clock that went back does not put it before the last one.
    pub(super) fn not_before(&self, now: Timestamp) -> Timestamp {
        self.holding().map_or(now, |holding| now.max(holding.occurred_at))
    }
}

impl Evolve for Book {
    type Event = BookEvent;

    fn evolve(self, event: &BookEvent) -> Self {
        let before = match self {
            Self::Unknown => None,
            Self::Known(holding) => Some(holding),
        };
        let after = match event {
            BookEvent::Warehoused(event) => {
                let (stock, name) = before.map_or((0, None), |holding| (holding.stock, holding.name));
                Holding {
                    name: event.name.clone().or(name),
                    edition: event.version,
                    stock: stock.saturating_add(event.qty.get()),
                    occurred_at: event.occurred_at,
                }
            }
            BookEvent::Renewed(event) => Holding {
                name: before.and_then(|holding| holding.name),
                edition: event.version,
                stock: event.stock,
                occurred_at: event.occurred_at,
            },
            BookEvent::Corrected(event) => {
                let (name, edition, stock) = before.map_or((None, Edition::FIRST, 0), |holding| {
                    (holding.name, holding.edition, holding.stock)
                });
                let stock = stock.saturating_add_signed(event.qty_delta.get());
                Holding { name, edition, stock, occurred_at: event.occurred_at }
            }
            BookEvent::Skipped(event) => match before {
                None => return Self::Unknown,
                Some(holding) => Holding { occurred_at: event.occurred_at, ..holding },
            },
        };
        Self::Known(after)
    }
}

impl Persist for Book {
    type After = After;

    fn encode(event: &BookEvent) -> (&'static str, Vec<u8>) {
        event.encode()
    }

    fn decode(event_type: &str, data: &[u8], metadata: &[u8]) -> Result<BookEvent, DecodeError> {
        BookEvent::decode(event_type, data, metadata)
    }

    fn skips(event: &BookEvent, own: u64) -> Option<u64> {
        event.skips(own)
    }

    fn after(&self) -> Option<After> {
        self.holding().map(|holding| After {
            name: holding.name.clone(),
            version: holding.edition,
            stock: holding.stock,
        })
    }

    fn resume(after: After, event: &BookEvent) -> Self {
        Self::Known(Holding {
            name: after.name,
            edition: after.version,
            stock: after.stock,
            occurred_at: event.occurred_at(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metadata;
    use crate::testing::{any_event, at, book_id, renewed, warehoused};
    use crate::{Decide as _, book, fold};
    use proptest::prelude::*;

    #[test]
    fn the_metadata_of_an_event_is_written_and_read_as_its_golden_file_says() {
        let golden = include_str!("golden/metadata.v1.json").trim_end();
        let metadata = Metadata {
            schema_version: 1,
            after: After {
                name: Some("해리 포터".parse().unwrap()), version: Edition::FIRST, stock: 123
            },
            idempotency_key: "delivery-7:1".to_owned(),
            command_hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
            actor: Some("4f2b".to_owned()),
            more_in_append: 0,
            correlation_id: "req-1".to_owned(),
            causation_id: "req-1".to_owned(),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        };
        assert_eq!(serde_json::to_string(&metadata).unwrap(), golden);
        assert_eq!(serde_json::from_str::<Metadata<After>>(golden).unwrap(), metadata);

        let golden = include_str!("golden/metadata-shared-append.v1.json").trim_end();
        let metadata = Metadata { more_in_append: 3, ..metadata };
        assert_eq!(serde_json::to_string(&metadata).unwrap(), golden);
        assert_eq!(serde_json::from_str::<Metadata<After>>(golden).unwrap(), metadata);
    }

    #[test]
    fn a_later_name_replaces_the_earlier_and_silence_keeps_it() {
        let named = |events: &[BookEvent]| {
            fold::<Book>(events).holding().and_then(|holding| holding.name.clone()).map(String::from)
        };
        let (first, silent) = (warehoused(1, "1.0", Some("A")), warehoused(1, "1.0", None));
        assert_eq!(named(&[first.clone(), silent.clone()]).as_deref(), Some("A"));
        assert_eq!(named(&[first.clone(), warehoused(1, "1.0", Some("B"))]).as_deref(), Some("B"));
        assert_eq!(named(&[first, renewed("2.0"), silent]).as_deref(), Some("A"));
    }

    proptest! {
        #[test]
        fn the_fold_takes_any_events_in_any_order(events in proptest::collection::vec(any_event(), 0..50)) {
            let book = fold::<Book>(&events);
            let made = events.iter().any(|event| !matches!(event, BookEvent::Skipped(_)));
            prop_assert_eq!(book.holding().is_some(), made);
        }

        #[test]
        fn the_last_event_and_what_it_says_of_the_state_stand_for_the_whole_stream(
            events in proptest::collection::vec(any_event(), 1..50),
        ) {
            let book = fold::<Book>(&events);
            if let Some(after) = book.after() {
                let after = serde_json::from_slice(&serde_json::to_vec(&after).unwrap()).unwrap();
                prop_assert_eq!(Book::resume(after, events.last().unwrap()), book);
            }
        }

        #[test]
        fn whatever_is_commanded_the_stock_stays_within_its_bounds_and_time_goes_forward(
            commands in proptest::collection::vec((0u8..3, 1i64..=1_000_000, 0i64..1_000), 0..100),
            start in 0u32..=1_000_000_000,
        ) {
            let mut book = fold::<Book>(&[warehoused(1, "1.0", None), renewed("2.0")]);
            if let Book::Known(holding) = &mut book {
                holding.stock = start;
            }
            for (kind, qty, second) in commands {
                let before = book.holding().map(|holding| holding.occurred_at);
                let (book_id, at) = (book_id(), at(second));
                let events = match kind {
                    0 => book::Renew { book_id, version: None, at }.decide(&book).unwrap(),
                    1 => {
                        let (qty_delta, reason) = ((qty * 3_000 - 1_500_000_001) % 1_000_000_000, "lost");
                        let qty_delta = book::QtyDelta::try_from(qty_delta).unwrap();
                        let command = book::Correct { book_id, qty_delta, reason: reason.parse().unwrap(), at };
                        command.decide(&book).unwrap_or_default()
                    }
                    _ => {
                        let qty = u64::try_from(qty).unwrap().try_into().unwrap();
                        let command = book::Warehouse { book_id, qty, version: None, name: None, default_name: None, at };
                        command.decide(&book).unwrap_or_default()
                    }
                };
                book = events.iter().fold(book, Book::evolve);
                let holding = book.holding().unwrap();
                prop_assert!(holding.stock <= book::MAX_STOCK);
                prop_assert!(Some(holding.occurred_at) >= before);
            }
        }
    }
}
