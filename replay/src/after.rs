//! Whether what each event's metadata says of the book after it is what the fold says.
//!
//! The fold of a book takes memory, and a log may be of more books than fit. So a check takes the books of one share of
//! all numbers; when they become too many, it halves its share and leaves the other half for a further reading of the log.

use crate::fold::{self, Around};
use domain::Persist as _;
use domain::book::{After, Book, BookId};
use event_store::StoredEvent;
use read_model::Happening;
use read_model::sift::Trouble;
use std::collections::HashMap;

/// The most books in memory, about 40 MiB of them. With more than 458,752 the map would grow to twice its size.
const MOST_BOOKS: usize = 450_000;

/// Why an event is not checked that comes after one that nobody can read.
const BEHIND: &str = "an event of the book before it cannot be read";

/// The most events that are kept to be told, of each kind; all are counted.
const MOST_TOLD: usize = 100;

/// A share of all books: those whose number leaves this remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    modulus: u64,
    remainder: u64,
}

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) book: BookId,
    pub(crate) revision: u64,
    pub(crate) position: u64,
}

/// An event whose metadata tells another state than the fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) place: Place,
    pub(crate) says: String,
    pub(crate) folds_to: String,
}

/// An event that could not be held against the fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unchecked {
    pub(crate) place: Place,
    pub(crate) why: String,
}

/// What an event's metadata say of the book after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// What the fold says.
    Right,
    /// Something else.
    Wrong(Wrong),
    /// Nothing that can be checked.
    Nothing(Unchecked),
}

/// What was found: all are counted, the first are kept.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    pub(crate) count: u64,
    pub(crate) first: Vec<T>,
}

/// The check of one share of the books.
#[derive(Clone, Debug)]
pub(crate) struct AfterCheck {
    share: Share,
    most: usize,
    /// What each book is; nothing is known behind an event that nobody can read.
    books: HashMap<BookId, Option<Book>>,
    /// The events up to here were checked by the reading before.
    checked_until: u64,
    /// What another reading has to take, and up to where it was checked by this one.
    pub(crate) left: Vec<(Share, u64)>,
    pub(crate) wrong: Found<Wrong>,
    pub(crate) unchecked: Found<Unchecked>,
    /// The events that took others out of their streams: what they say is held against [`of_skip`].
    pub(crate) skips: Vec<Place>,
}

impl<T> Found<T> {
    const NONE: Self = Self { count: 0, first: Vec::new() };

    fn take(&mut self, one: T) {
        self.count += 1;
        if self.first.len() < MOST_TOLD {
            self.first.push(one);
        }
    }

    fn extend(&mut self, others: Self) {
        self.count += others.count;
        self.first.extend(others.first);
        self.first.truncate(MOST_TOLD);
    }
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
            wrong: Found::NONE,
            unchecked: Found::NONE,
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
        let is_new = happening.position > self.checked_until;
        // Of a stream whose first events are not there any more, the fold knows nothing.
        let begins = || (happening.revision == 0).then(Book::default);
        let book = self.books.entry(happening.book_id).or_insert_with(begins);
        if happening.event.skips(happening.revision).is_some() {
            // It says what the book is without an event that this fold has seen or could not see. From there it goes on.
            if is_new {
                self.skips.push(Place::of(happening));
            }
            let said = Around::of(event).after.and_then(|said| serde_json::from_str(said.get()).ok());
            *book = said.map(|said: Option<After>| {
                said.map_or_else(Book::default, |said| Book::resume(said, &happening.event))
            });
        } else {
            let after = book.as_mut().map(|book| fold::evolve(book, &happening.event));
            if is_new {
                self.note(match after {
                    Some(after) => said(happening, event, &after),
                    None => Said::Nothing(Unchecked { place: Place::of(happening), why: BEHIND.to_owned() }),
                });
            }
        }
        self.halve_if_full(happening.position);
    }

    /// Nobody can read the next event of the log. Those of its book that come after it say what the book is with it, which
    /// the fold cannot say, up to one that takes it out.
    pub(crate) fn cannot_read(&mut self, trouble: &Trouble) {
        let Trouble { book_id: book, revision, position, ref reason, .. } = *trouble;
        if !self.share.has(book) {
            return;
        }
        self.books.insert(book, None);
        if position > self.checked_until {
            self.unchecked.take(Unchecked { place: Place { book, revision, position }, why: reason.clone() });
        }
        self.halve_if_full(position);
    }

    /// Notes what an event was found to say.
    pub(crate) fn note(&mut self, said: Said) {
        match said {
            Said::Right => {}
            Said::Wrong(wrong) => self.wrong.take(wrong),
            Said::Nothing(unchecked) => self.unchecked.take(unchecked),
        }
    }

    /// Joins what another reading found of the books that were left.
    pub(crate) fn join(&mut self, other: Self) {
        self.left.extend(other.left);
        self.wrong.extend(other.wrong);
        self.unchecked.extend(other.unchecked);
        self.skips.extend(other.skips);
    }

    /// Ten million books end in 32 shares this way, and so in as many readings of the log.
    fn halve_if_full(&mut self, position: u64) {
        if self.books.len() <= self.most {
            return;
        }
        let Share { modulus, remainder } = self.share;
        let other = Share { modulus: modulus * 2, remainder: remainder + modulus };
        self.share = Share { modulus: modulus * 2, remainder };
        self.left.push((other, position.max(self.checked_until)));
        let share = self.share;
        self.books.retain(|book, _| share.has(*book));
    }
}

/// What the event at `skip`, which took another out of its stream, says of the book: it is folded from the stream's `events`
/// without those that were taken out by then. Nothing that can be checked, if one of the others cannot be read or is not
/// there any more.
pub(crate) fn of_skip(skip: Place, events: &[StoredEvent]) -> Said {
    let nothing = |why: &str| Said::Nothing(Unchecked { place: skip, why: why.to_owned() });
    let events = &events[..events.partition_point(|event| event.revision <= skip.revision)];
    if events.first().is_none_or(|first| first.revision > 0) {
        return nothing("the first events of its stream are not there any more");
    }
    let skipped = fold::skipped(events);
    let mut book = Book::default();
    for event in events.iter().filter(|event| !skipped.contains(&event.revision)) {
        let happening = fold::decode(event).ok().flatten();
        let Some(happening) = happening.filter(|happening| happening.book_id == skip.book) else {
            return nothing("an event before it cannot be read");
        };
        let after = fold::evolve(&mut book, &happening.event);
        if event.revision == skip.revision {
            return said(&happening, event, &after);
        }
    }
    nothing("it is not there any more")
}

/// What the event's metadata say of the book, which folds to `after`.
fn said(happening: &Happening, event: &StoredEvent, after: &Option<After>) -> Said {
    let place = Place::of(happening);
    let Some(said) = Around::of(event).after else {
        let why = "its metadata do not say what the book is after it".to_owned();
        return Said::Nothing(Unchecked { place, why });
    };
    if serde_json::from_str::<Option<After>>(said.get()).is_ok_and(|said| said == *after) {
        return Said::Right;
    }
    let folds_to = serde_json::to_string(after).unwrap_or_default();
    Said::Wrong(Wrong { place, says: said.get().to_owned(), folds_to })
}

impl Place {
    fn of(happening: &Happening) -> Self {
        let Happening { book_id, revision, position, .. } = *happening;
        Self { book: book_id, revision, position }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::book::{BookEvent, Renewed, Skipped};
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
            assert_eq!(check.wrong.count, check.wrong.first.len() as u64);
            left.extend(check.left);
            found.extend(check.wrong.first.iter().map(|wrong| wrong.place.book.get()));
        }
        found.sort_unstable();
        assert_eq!(found, (1..=100).collect::<Vec<_>>());
        assert!(readings > 8, "{readings}");
    }

    #[test]
    fn behind_an_event_that_nobody_can_read_nothing_is_wrong_up_to_one_that_takes_it_out() {
        let at = |revision, position| {
            let (happening, event) = wrong(1, position);
            (Happening { revision, ..happening }, StoredEvent { revision, ..event })
        };
        let book_id = BookId::try_from(1).unwrap();
        let reason = "nobody can".to_owned();
        let unreadable = Trouble { book_id, revision: 0, position: 1, event_id: Uuid::nil(), reason };
        let (mut skip, mut says) = at(2, 3);
        let (reason, occurred_at) = ("a test".parse().unwrap(), Timestamp::default());
        skip.event = BookEvent::Skipped(Skipped { book_id, revision: 0, reason, occurred_at });
        says.metadata = bytes::Bytes::from_static(br#"{"after":null}"#);
        // Read once with everything, and once more for what was left.
        for (checked_until, unchecked) in [(0, 2), (1, 1), (2, 0)] {
            let mut check = AfterCheck::of((Share::ALL, checked_until));
            check.cannot_read(&unreadable);
            let (behind, event) = at(1, 2);
            check.hear(&behind, &event);
            assert_eq!((check.unchecked.count, check.wrong.count), (unchecked, 0));
            check.hear(&skip, &says);
            let (after, event) = at(3, 4);
            check.hear(&after, &event);
            assert_eq!((check.unchecked.count, check.wrong.count, check.skips.len()), (unchecked, 1, 1));
        }
        let mut of_others = AfterCheck::of((Share { modulus: 2, remainder: 0 }, 0));
        of_others.cannot_read(&unreadable);
        assert_eq!(of_others.unchecked.count, 0, "the other half counts it");
    }

    #[test]
    fn behind_events_that_are_not_there_any_more_nothing_is_wrong() {
        let (happening, event) = wrong(1, 7);
        let mut check = AfterCheck::of((Share::ALL, 0));
        check.hear(&Happening { revision: 6, ..happening }, &StoredEvent { revision: 6, ..event });
        assert_eq!((check.unchecked.count, check.wrong.count), (1, 0));
    }

    #[test]
    fn an_event_that_says_nothing_of_the_book_is_counted_and_one_that_says_that_there_is_none_is_wrong() {
        let mut check = AfterCheck::of((Share::ALL, 0));
        let (happening, event) = wrong(1, 1);
        for metadata in ["", "no JSON", "{}", r#"{"schemaVersion":1}"#] {
            check.hear(&happening, &StoredEvent { metadata: metadata.into(), ..event.clone() });
        }
        assert_eq!((check.unchecked.count, check.wrong.count), (4, 0));
        check.hear(&happening, &StoredEvent { metadata: r#"{"after":null}"#.into(), ..event.clone() });
        assert_eq!((check.unchecked.count, check.wrong.count), (4, 1));
        assert_eq!(check.wrong.first[0].says, "null");
        let right = r#"{"after":{"name":null,"version":2.0,"stock":100}}"#;
        check.hear(&happening, &StoredEvent { metadata: right.into(), ..event });
        assert_eq!((check.unchecked.count, check.wrong.count), (4, 1));
    }
}
