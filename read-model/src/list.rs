//! What a list is asked for: which books, in which order, and which part of them.

use crate::hot::{Hot, HotRows};
use crate::memory::{Shelf, Snapshot};
use crate::search::Words;
use crate::view::View;
use domain::Timestamp;
use domain::book::{BookId, BookName, Edition, Stock};
use std::cmp::Ordering;

/// Where books without a name are in the order of names: after all that have one.
pub(crate) const AFTER_ALL_NAMES: &str = "\u{10FFFF}";

/// What is asked of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListRequest {
    /// Which books.
    pub filter: Filter,
    /// What to sort by, the most important first. Books that are equal in all of it, or in nothing at all, come in the
    /// order of their ids, which goes the way the first column goes. So parts of a list never overlap.
    pub sort: Vec<(Column, Order)>,
    /// Which part of the list.
    pub place: Place,
    /// How many rows at most.
    pub size: u32,
}

/// Which books: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Called or numbered so.
    pub words: Option<Words>,
    /// So many copies at least.
    pub min_stock: Option<Stock>,
    /// So many copies at most.
    pub max_stock: Option<Stock>,
    /// Of this edition.
    pub version: Option<Edition>,
    /// Changed since then.
    pub changed_since: Option<Since>,
}

/// From when on a change counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Since {
    /// After the event at this position.
    Position(u64),
    /// At this moment or later.
    Time(Timestamp),
}

/// What the lists can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// The book's id.
    BookId,
    /// Its name, by the code points of its characters.
    Name,
    /// Its edition.
    Version,
    /// Its copies in stock.
    Stock,
    /// The position of its last change.
    Position,
}

/// Which way to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Smallest first; books without a name last.
    Ascending,
    /// Largest first; books without a name first.
    Descending,
}

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The page of this number, from 0.
    Page(u64),
    /// The beginning, of a walk that goes on with [`Place::After`].
    Beginning,
    /// What comes after this mark. It is for lists that are sorted by one column, and costs the same everywhere in them.
    After(Mark),
}

/// Where a walk through a list is: the last row seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Its value in the column that the list is sorted by.
    pub key: Key,
    /// Which book it is.
    pub book_id: BookId,
}

/// The value of a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The book's id, which the mark has anyway.
    BookId,
    /// Its name.
    Name(Option<BookName>),
    /// Its edition.
    Version(Edition),
    /// Its copies in stock.
    Stock(Stock),
    /// The position of its last change.
    Position(u64),
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<Row> {
    /// Its rows.
    pub rows: Vec<Row>,
    /// The rows of all pages together; a walk does not count them.
    pub total: Option<u64>,
    /// Where a walk goes on, if there is more.
    pub next: Option<Mark>,
}

/// A view that lists books with their names, editions and stocks.
pub(crate) trait Listed: View<Row: 'static> {
    /// The column of names.
    const NAMES: &'static str;
    /// The column of editions.
    const VERSIONS: &'static str;
    /// The column of stocks.
    const STOCKS: &'static str;

    /// What a row is found and sorted by.
    fn facts(row: &Self::Row) -> Facts<'_>;

    /// The rows of this view in a snapshot.
    fn shelf(snapshot: &Snapshot) -> &Shelf<Self>
    where
        Self: Sized;

    /// The rows of this view that were asked for lately.
    fn hot(hot: &Hot) -> &HotRows<Self::Row>;
}

/// What a row is found and sorted by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) book_id: BookId,
    pub(crate) name: Option<&'a BookName>,
    pub(crate) version: Edition,
    pub(crate) stock: Stock,
    pub(crate) position: u64,
    pub(crate) occurred_at: Timestamp,
}

impl Filter {
    /// Whether it lets every book pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn passes(&self, facts: Facts<'_>, search: &str) -> bool {
        self.min_stock.is_none_or(|least| facts.stock >= least)
            && self.max_stock.is_none_or(|most| facts.stock <= most)
            && self.version.is_none_or(|version| facts.version == version)
            && self.changed_since.is_none_or(|since| match since {
                Since::Position(position) => facts.position > position,
                Since::Time(time) => facts.occurred_at >= time,
            })
            && self.words.as_ref().is_none_or(|words| words.find(facts.book_id, search))
    }
}

impl ListRequest {
    /// The sort without what cannot matter: a column named again, and what comes after one that has no ties.
    pub(crate) fn order(&self) -> Vec<(Column, Order)> {
        let mut order: Vec<(Column, Order)> = Vec::new();
        for &(column, direction) in &self.sort {
            if order.iter().all(|(known, _)| *known != column) {
                order.push((column, direction));
            }
            if matches!(column, Column::BookId | Column::Position) {
                break;
            }
        }
        if order.is_empty() { vec![(Column::BookId, Order::Ascending)] } else { order }
    }

    /// The rows before the part that is asked for, within what is after its mark.
    pub(crate) fn offset(&self) -> u64 {
        match self.place {
            Place::Page(page) => page.saturating_mul(self.size.into()),
            Place::Beginning | Place::After(_) => 0,
        }
    }

    /// Whether this is a part of a walk, and not a page of its own.
    #[must_use]
    pub fn is_walk(&self) -> bool {
        !matches!(self.place, Place::Page(_))
    }

    /// The mark of the last of `rows`, from which a walk goes on.
    pub(crate) fn mark(&self, last: Facts<'_>) -> Mark {
        let column = self.order().first().map_or(Column::BookId, |(column, _)| *column);
        Mark { key: column.key(last), book_id: last.book_id }
    }
}

impl Order {
    pub(crate) fn of(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }
}

impl Column {
    fn key(self, facts: Facts<'_>) -> Key {
        match self {
            Self::BookId => Key::BookId,
            Self::Name => Key::Name(facts.name.cloned()),
            Self::Version => Key::Version(facts.version),
            Self::Stock => Key::Stock(facts.stock),
            Self::Position => Key::Position(facts.position),
        }
    }

    /// How two rows compare in this column alone.
    pub(crate) fn compare(self, one: Facts<'_>, other: Facts<'_>) -> Ordering {
        match self {
            Self::BookId => one.book_id.cmp(&other.book_id),
            Self::Name => text(one.name).cmp(text(other.name)),
            Self::Version => one.version.cmp(&other.version),
            Self::Stock => one.stock.cmp(&other.stock),
            Self::Position => one.position.cmp(&other.position),
        }
    }
}

impl Mark {
    /// How a row compares with this mark, in the column of its key and then by the id.
    pub(crate) fn compare(&self, row: Facts<'_>) -> Ordering {
        let in_column = match &self.key {
            Key::BookId => Ordering::Equal,
            Key::Name(name) => text(row.name).cmp(text(name.as_ref())),
            Key::Version(version) => row.version.cmp(version),
            Key::Stock(stock) => row.stock.cmp(stock),
            Key::Position(position) => row.position.cmp(position),
        };
        in_column.then(row.book_id.cmp(&self.book_id))
    }

    /// The column that a list has to be sorted by for this mark to be in it.
    #[must_use]
    pub fn column(&self) -> Column {
        match self.key {
            Key::BookId => Column::BookId,
            Key::Name(_) => Column::Name,
            Key::Version(_) => Column::Version,
            Key::Stock(_) => Column::Stock,
            Key::Position(_) => Column::Position,
        }
    }
}

pub(crate) fn text(name: Option<&BookName>) -> &str {
    name.map_or(AFTER_ALL_NAMES, BookName::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted_by(sort: &[(Column, Order)]) -> ListRequest {
        ListRequest { filter: Filter::default(), sort: sort.to_vec(), place: Place::Page(2), size: 20 }
    }

    #[test]
    fn what_cannot_matter_is_not_sorted_by() {
        use Column::{BookId, Name, Stock};
        use Order::{Ascending, Descending};
        assert_eq!(sorted_by(&[]).order(), [(BookId, Ascending)]);
        let twice = [(Stock, Ascending), (Stock, Descending), (BookId, Descending), (Name, Ascending)];
        assert_eq!(sorted_by(&twice).order(), [(Stock, Ascending), (BookId, Descending)]);
    }

    #[test]
    fn a_page_beyond_all_numbers_is_far_away_and_no_panic() {
        assert_eq!(sorted_by(&[]).offset(), 40);
        assert_eq!(ListRequest { place: Place::Page(u64::MAX), ..sorted_by(&[]) }.offset(), u64::MAX);
    }
}
