//! Whether what each event's metadata says of the book after it is what the fold says.
//!
//! The fold of a book takes memory, and a log may be of more books than fit. So a check takes the books of one share of
//! all numbers; when they become too many, it halves its share and leaves the other half for a further reading of the log.

use crate::fold::{self, Around};
use domain::Persist as _;
use domain::book::{After, Book, BookId};
use event_store::StoredEvent;
use read_model::Happening;
use std::collections::HashMap;

/// The most books in memory, about 40 MiB of them. With more than 458,752 the map would grow to twice its size.
const MOST_BOOKS: usize = 450_000;

/// The most wrong events that are kept to be told; all are counted.
const MOST_TOLD: usize = 100;

/// A share of all books: those whose number leaves this remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    modulus: u64,
    remainder: u64,
}

/// An event whose metadata tells another state than the fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) book: BookId,
    pub(crate) revision: u64,
    pub(crate) position: u64,
    pub(crate) says: String,
    pub(crate) folds_to: String,
}

/// The check of one share of the books.
#[derive(Clone, Debug)]
pub(crate) struct AfterCheck {
    share: Share,
    most: usize,
    books: HashMap<BookId, Book>,
    /// The events up to here were checked by the reading before.
    checked_until: u64,
    /// What another reading has to take, and up to where it was checked by this one.
    pub(crate) left: Vec<(Share, u64)>,
    pub(crate) wrong: Vec<Wrong>,
    pub(crate) wrong_count: u64,
    /// The events that took others out of their streams, by book and revision: what they say is held against [`of_skip`].
    pub(crate) skips: Vec<(BookId, u64)>,
}

impl Share {
    pub(crate) const ALL: Self = Self { modulus: 1, remainder: 0 };

    fn has(self, book: BookId) -> bool {
        book.get() % self.modulus == self.remainder
    }
}

impl AfterCheck {
    pub(crate) fn of((share, checked_until): (Share, u64)) -> Self {
        Self {
            share,
            most: MOST_BOOKS,
            books: HashMap::new(),
            checked_until,
            left: Vec::new(),
            wrong: Vec::new(),
            wrong_count: 0,
            skips: Vec::new(),
        }
    }

    /// Whether it takes the books of this stream in, if it is a book's.
    pub(crate) fn takes(&self, stream: &str) -> bool {
        BookId::of_stream(stream).is_some_and(|book| self.share.has(book))
    }

    /// Takes the next event of the log in.
    pub(crate) fn hear(&mut self, happening: &Happening, event: &StoredEvent) {
        if !self.share.has(happening.book_id) {
            return;
        }
        let book = self.books.entry(happening.book_id).or_default();
        let after = fold::evolve(book, &happening.event);
        if happening.event.skips(happening.revision).is_some() {
            // It says what the book is without an event that this fold has seen or could not see. From there it goes on.
            if happening.position > self.checked_until {
                self.skips.push((happening.book_id, happening.revision));
            }
            let said = Around::of(event).after.and_then(|said| serde_json::from_str(said.get()).ok());
            *book = said.map_or_else(Book::default, |said| Book::resume(said, &happening.event));
            return;
        }
        if happening.position > self.checked_until
            && let Some(wrong) = wrong(happening, event, &after)
        {
            self.wrong_count += 1;
            if self.wrong.len() < MOST_TOLD {
                self.wrong.push(wrong);
            }
        }
        if self.books.len() > self.most {
            self.halve(happening.position);
        }
    }

    fn halve(&mut self, position: u64) {
        let Share { modulus, remainder } = self.share;
        let other = Share { modulus: modulus * 2, remainder: remainder + modulus };
        self.share = Share { modulus: modulus * 2, remainder };
        self.left.push((other, position.max(self.checked_until)));
        let share = self.share;
        self.books.retain(|book, _| share.has(*book));
    }
}

/// What is wrong with what the event at `revision`, which took another out of the stream of `book`, says of the book: it is
/// folded from the stream's `events` without those that were taken out by then. Nothing, if one of the others cannot be read
/// or is not there any more.
pub(crate) fn of_skip(book: BookId, revision: u64, events: &[StoredEvent]) -> Option<Wrong> {
    let events = &events[..events.partition_point(|event| event.revision <= revision)];
    events.first().filter(|first| first.revision == 0)?;
    let skipped = fold::skipped(events);
    let (mut state, mut found) = (Book::default(), None);
    for event in events.iter().filter(|event| !skipped.contains(&event.revision)) {
        let happening = fold::decode(event).ok().flatten().filter(|happening| happening.book_id == book)?;
        let after = fold::evolve(&mut state, &happening.event);
        if event.revision == revision {
            found = wrong(&happening, event, &after);
        }
    }
    found
}

/// The event as a wrong one, if its metadata tells another state than the fold.
fn wrong(happening: &Happening, event: &StoredEvent, after: &Option<After>) -> Option<Wrong> {
    let said = Around::of(event).after?;
    let is_right = serde_json::from_str::<Option<After>>(said.get()).is_ok_and(|said| said == *after);
    (!is_right).then(|| Wrong {
        book: happening.book_id,
        revision: happening.revision,
        position: happening.position,
        says: said.get().to_owned(),
        folds_to: serde_json::to_string(after).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::book::{BookEvent, Renewed};
    use event_store::{ContentType, Position};
    use uuid::Uuid;

    /// A renewal of a book, whose metadata is wrong.
    fn wrong(number: u64, position: u64) -> (Happening, StoredEvent) {
        let book_id = BookId::try_from(number).unwrap();
        let event = BookEvent::Renewed(Renewed {
            book_id,
            version: "2.0".parse().unwrap(),
            stock: 100,
            occurred_at: Timestamp::default(),
        });
        let (event_type, data) = event.encode();
        let stored = StoredEvent {
            stream: book_id.stream(),
            revision: 0,
            position: Position(position),
            id: Uuid::from_u128(position.into()),
            event_type: event_type.to_owned(),
            content_type: ContentType::Json,
            data: data.into(),
            metadata: bytes::Bytes::from_static(br#"{"after":{"name":null,"version":2.0,"stock":99}}"#),
            created_micros: 0,
        };
        let event_id = stored.id;
        let provenance = domain::metadata::Provenance::default();
        let happening = Happening { book_id, revision: 0, position, event, event_id, provenance };
        (happening, stored)
    }

    #[test]
    fn with_too_many_books_for_the_memory_each_wrong_event_is_still_found_once() {
        let log: Vec<_> = (1..=100).map(|number| wrong(number, number)).collect();
        let mut left = vec![(Share::ALL, 0)];
        let mut found = Vec::new();
        let mut readings = 0;
        while let Some(share) = left.pop() {
            readings += 1;
            let mut check = AfterCheck { most: 10, ..AfterCheck::of(share) };
            for (happening, event) in &log {
                check.hear(happening, event);
                assert!(check.books.len() <= 11);
            }
            assert_eq!(check.wrong_count, check.wrong.len() as u64);
            left.extend(check.left);
            found.extend(check.wrong.iter().map(|wrong| wrong.book.get()));
        }
        found.sort_unstable();
        assert_eq!(found, (1..=100).collect::<Vec<_>>());
        assert!(readings > 8, "{readings}");
    }
}
