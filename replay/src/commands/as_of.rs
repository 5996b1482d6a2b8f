//! `replay as-of`: what the books were at a time or a position, from the log.

use crate::fold;
use crate::log::{self, Until};
use crate::places::Places;
use crate::progress::Progress;
use crate::table::{Table, count};
use crate::tell::{Outcome, Tell, note};
use anyhow::bail;
use domain::book::{Book, BookId, BookName, Edition, STREAM_PREFIX, Stock};
use domain::{Evolve as _, Timestamp};
use event_store::{Kurrent, Position, StoredEvent};
use read_model::Happening;
use serde::Serialize;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// Tell what the books were at a time, or at a position of the log.
#[derive(Debug, clap::Args)]
pub(crate) struct AsOf {
    /// A time such as 2026-11-24T08:05:00Z, or a position such as 4711. Times are those of the events themselves.
    #[arg(value_name = "TIME|POSITION")]
    moment: Moment,

    /// This book only.
    #[arg(long, value_name = "N")]
    book: Option<BookId>,
}

/// A moment of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Time(Timestamp),
    Position(Position),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Past {
    as_of: String,
    books: Vec<Then>,
}

/// What a book was.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Then {
    book_id: BookId,
    name: Option<BookName>,
    version: Edition,
    stock: Stock,
    revision: u64,
    position: String,
    occurred_at: Timestamp,
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(position));
        }
        text.parse().map(Self::Time).map_err(|error| format!("{error}, nor a position such as 4711"))
    }
}

impl Moment {
    fn is_before(self, happening: &Happening) -> bool {
        match self {
            Self::Time(time) => time < happening.event.occurred_at(),
            Self::Position(position) => position.0 < happening.position,
        }
    }

    /// Refuses a time after `now`, and a position behind the last one.
    fn has_come(self, last: Option<Position>, now: i64) -> anyhow::Result<()> {
        let moment = match self {
            Self::Time(time) if time.unix_micros() > now => time.to_string(),
            Self::Position(position) if last.unwrap_or(Position(0)) < position => {
                format!("position {position}")
            }
            Self::Time(_) | Self::Position(_) => return Ok(()),
        };
        let end = last.map_or_else(|| "is empty".to_owned(), |last| format!("goes to position {last}"));
        bail!("{moment} has not come yet, and what the books will be nobody knows; the log {end}")
    }
}

/// Books as they are met, up to the moment.
#[derive(Default)]
struct Books {
    books: BTreeMap<BookId, (Book, u64, u64)>,
    /// Those of which an event was taken out, or the first ones were not met: they are to be read again.
    anew: BTreeSet<BookId>,
    /// Those of which an event after the moment was met: what comes behind that is after it as well.
    over: BTreeSet<BookId>,
}

impl Books {
    /// Takes an event in. What cannot be read changes nothing, and is answered if it may be of the moment or before: it has no
    /// time of its own.
    fn hear(&mut self, event: &StoredEvent, moment: Moment) -> Option<String> {
        let happening = match fold::decode(event) {
            Ok(happening) => happening?,
            Err(reason) => {
                let StoredEvent { revision, stream, position, .. } = event;
                if BookId::of_stream(stream).is_some_and(|book| self.over.contains(&book)) {
                    return None;
                }
                return Some(format!(
                    "event {revision} of {stream} at position {position} was left out: {reason}"
                ));
            }
        };
        if moment.is_before(&happening) {
            self.over.insert(happening.book_id);
        } else {
            let entry = self.books.entry(happening.book_id);
            let begins_late = happening.revision > 0 && matches!(entry, Entry::Vacant(_));
            if begins_late || happening.event.skips(happening.revision).is_some() {
                self.anew.insert(happening.book_id);
            }
            let (book, revision, position) = entry.or_default();
            *book = std::mem::take(book).evolve(&happening.event);
            (*revision, *position) = (happening.revision, happening.position);
        }
        None
    }

    /// Takes in a whole stream, without what was taken out of it by then; answers what could not be read.
    fn hear_stream(&mut self, book: BookId, events: &[StoredEvent], moment: Moment) -> Vec<String> {
        self.books.remove(&book);
        self.over.remove(&book);
        // One that cannot be read has no time, but a place.
        let is_after = |event: &StoredEvent| match (moment, fold::decode(event)) {
            (Moment::Position(position), _) => position < event.position,
            (Moment::Time(_), happening) => {
                happening.ok().flatten().is_some_and(|happening| moment.is_before(&happening))
            }
        };
        let events = &events[..events.iter().position(is_after).unwrap_or(events.len())];
        let skipped = fold::skipped(events);
        let left = events.iter().filter(|event| !skipped.contains(&event.revision));
        left.filter_map(|event| self.hear(event, moment)).collect()
    }

    /// Leaves out a book of which nobody can say what it was; answers why.
    fn leave_out(&mut self, book: BookId) -> String {
        self.books.remove(&book);
        format!(
            "{} was left out: the event store does not tell all of its events any more, and nobody can fold the others \
             without them",
            book.stream()
        )
    }

    fn then(self) -> Vec<Then> {
        let known = self.books.into_iter().filter_map(|(book_id, (book, revision, position))| {
            let holding = book.holding()?;
            Some(Then {
                book_id,
                name: holding.name.clone(),
                version: holding.edition,
                stock: holding.stock,
                revision,
                position: position.to_string(),
                occurred_at: holding.occurred_at,
            })
        });
        known.collect()
    }
}

impl AsOf {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let store = places.store()?;
        let last = log::last(&store).await?.map(|event| event.position);
        self.moment.has_come(last, service_kit::clock::unix_micros())?;
        let mut books = Books::default();
        let unread = match self.book {
            Some(book) => {
                let events = log::stream(&store, &book.stream()).await?;
                books.hear_stream(book, &events, self.moment)
            }
            None => self.all(&store, last, &mut books).await?,
        };
        for reason in &unread {
            note(reason);
        }
        let as_of = match self.moment {
            Moment::Time(time) => time.to_string(),
            Moment::Position(position) => position.to_string(),
        };
        let past = Past { as_of, books: books.then() };
        if let (Some(book), true) = (self.book, past.books.is_empty()) {
            bail!("book {book} was not known at {}", past.as_of);
        }
        tell.document(&past, || past.text())?;
        Ok(if unread.is_empty() { Outcome::Done } else { Outcome::Found })
    }

    /// Hears the whole log up to the moment; answers what could not be read.
    async fn all(
        &self,
        store: &Kurrent,
        last: Option<Position>,
        books: &mut Books,
    ) -> anyhow::Result<Vec<String>> {
        let mut unread: Vec<(String, String)> = Vec::new();
        let Some(last) = last else { return Ok(Vec::new()) };
        let end = match self.moment {
            Moment::Position(position) => position.min(last),
            // Books have their times, the log as a whole has none: a later event may be of an earlier time.
            Moment::Time(_) => last,
        };
        let mut progress = Progress::start("reading", end.0);
        let mut hearing = log::hear(store, None, &[STREAM_PREFIX], Until::End(Some(end)));
        while let Some(events) = hearing.batch().await? {
            unread.extend(
                events
                    .iter()
                    .filter_map(|event| Some((event.stream.clone(), books.hear(event, self.moment)?))),
            );
            progress.done(events.len(), events.last().map_or(0, |event| event.position.0));
        }
        for book in std::mem::take(&mut books.anew) {
            let name = book.stream();
            unread.retain(|(stream, _)| *stream != name);
            let events = log::what_is_left(store, &name).await?;
            let left_out = if events.first().is_some_and(|first| first.revision == 0) {
                books.hear_stream(book, &events, self.moment)
            } else {
                vec![books.leave_out(book)]
            };
            unread.extend(left_out.into_iter().map(|why| (name.clone(), why)));
        }
        Ok(unread.into_iter().map(|(_, why)| why).collect())
    }
}

impl Past {
    fn text(&self) -> String {
        let mut table =
            Table::new(&["book>", "name", "version>", "stock>", "revision>", "position>", "since"]);
        for then in &self.books {
            table.row([
                then.book_id.to_string(),
                then.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
                then.version.to_string(),
                count(then.stock.into()),
                then.revision.to_string(),
                then.position.clone(),
                then.occurred_at.to_string(),
            ]);
        }
        let known = if table.is_empty() { "no book was known".to_owned() } else { table.text() };
        format!("as of {}\n\n{known}", self.as_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::book::{BookEvent, Renewed};

    #[test]
    fn an_event_behind_the_position_is_not_looked_at_though_nobody_can_read_it() {
        let unreadable = |position| StoredEvent {
            stream: "book-1".to_owned(),
            revision: position,
            position: Position(position),
            id: uuid::Uuid::from_u128(position.into()),
            event_type: "Shredded".to_owned(),
            content_type: event_store::ContentType::Json,
            data: bytes::Bytes::new(),
            metadata: bytes::Bytes::new(),
            created_micros: 0,
        };
        let left_out = |moment| {
            let book = BookId::try_from(1).unwrap();
            Books::default().hear_stream(book, &[unreadable(4), unreadable(7)], moment)
        };
        assert_eq!(left_out(Moment::Position(Position(3))).len(), 0);
        assert_eq!(left_out(Moment::Position(Position(4))).len(), 1);
        assert_eq!(left_out(Moment::Position(Position(6))).len(), 1);
        assert_eq!(left_out(Moment::Position(Position(7))).len(), 2);
    }

    #[test]
    fn an_event_behind_one_of_a_later_time_is_not_of_the_moment_though_it_has_no_time_itself() {
        let time = |second: u64| format!("2026-11-24T08:05:{second:02}Z").parse::<Timestamp>().unwrap();
        let stored = |revision: u64, event_type: &str, data: Vec<u8>| StoredEvent {
            stream: "book-1".to_owned(),
            revision,
            position: Position(revision),
            id: uuid::Uuid::from_u128(revision.into()),
            event_type: event_type.to_owned(),
            content_type: event_store::ContentType::Json,
            data: data.into(),
            metadata: bytes::Bytes::new(),
            created_micros: 0,
        };
        let renewed = |revision: u64| {
            let event = BookEvent::Renewed(Renewed {
                book_id: BookId::try_from(1).unwrap(),
                version: "2.0".parse().unwrap(),
                stock: 100,
                occurred_at: time(revision),
            });
            let (event_type, data) = event.encode();
            stored(revision, event_type, data)
        };
        let shredded = |revision: u64| stored(revision, "Shredded", b"{}".to_vec());
        let log = [renewed(1), shredded(2), renewed(3), shredded(4), renewed(5)];
        let left_out = |moment: u64| {
            let (mut books, moment) = (Books::default(), Moment::Time(time(moment)));
            let heard = log.iter().filter_map(|event| books.hear(event, moment)).count();
            // Also when it is read once more.
            let book = BookId::try_from(1).unwrap();
            (heard, books.hear_stream(book, &log, moment).len())
        };
        // Nobody knows whether an event without a time is before the next one's.
        assert_eq!([1, 2, 3, 4, 5].map(left_out), [(1, 1), (1, 1), (2, 2), (2, 2), (2, 2)]);
        assert_eq!(left_out(0), (0, 0));
    }

    #[test]
    fn what_has_not_come_yet_is_refused_with_the_end_of_the_log() {
        let now = "2026-11-24T08:05:00Z".parse::<Timestamp>().unwrap().unix_micros();
        let refused = |moment: &str, last: Option<u64>| {
            let moment: Moment = moment.parse().unwrap();
            moment.has_come(last.map(Position), now).err().map(|error| error.to_string())
        };
        for come in ["2026-11-24T08:05:00Z", "7", "0"] {
            assert_eq!(refused(come, Some(7)), None, "{come}");
        }
        let words = "has not come yet, and what the books will be nobody knows; the log";
        assert_eq!(refused("8", Some(7)).unwrap(), format!("position 8 {words} goes to position 7"));
        assert_eq!(refused("8", None).unwrap(), format!("position 8 {words} is empty"));
        let later = refused("2026-11-24T08:05:01Z", Some(7)).unwrap();
        assert_eq!(later, format!("2026-11-24T08:05:01.000000Z {words} goes to position 7"));
    }

    #[test]
    fn a_moment_is_a_position_or_a_time() {
        assert_eq!("4711".parse(), Ok(Moment::Position(Position(4711))));
        let time = "2026-11-24T17:05:00+09:00".parse::<Moment>();
        assert_eq!(time, Ok(Moment::Time("2026-11-24T08:05:00Z".parse().unwrap())));
        assert!("yesterday".parse::<Moment>().unwrap_err().contains("4711"));
    }
}
