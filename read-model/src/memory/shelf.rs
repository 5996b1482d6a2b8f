//! The rows of one view in memory, in each order that they can be asked for.

use super::ordered::Ordered;
use crate::list::{Column, Facts, Filter, ListRequest, Listed, Order, Page, Place};
use crate::search;
use domain::book::BookId;
use std::cmp::Ordering;
use std::sync::Arc;

/// A row, and what is searched for its name.
#[derive(Debug)]
pub(crate) struct Entry<Row> {
    pub(crate) row: Row,
    search: Box<str>,
}

type Shared<V> = Arc<Entry<<V as crate::View>::Row>>;

/// Rows of one view. Copies share what they have in common.
pub(crate) struct Shelf<V: Listed> {
    by_id: Ordered<Shared<V>>,
    by_name: Ordered<Shared<V>>,
    by_version: Ordered<Shared<V>>,
    by_stock: Ordered<Shared<V>>,
    by_position: Ordered<Shared<V>>,
}

impl<V: Listed> Clone for Shelf<V> {
    fn clone(&self) -> Self {
        Self {
            by_id: self.by_id.clone(),
            by_name: self.by_name.clone(),
            by_version: self.by_version.clone(),
            by_stock: self.by_stock.clone(),
            by_position: self.by_position.clone(),
        }
    }
}

impl<V: Listed> Shelf<V> {
    pub(crate) fn of(rows: Vec<V::Row>) -> Self {
        Self::of_entries(rows.into_iter().map(entry::<V>).collect())
    }

    fn of_entries(entries: Vec<Shared<V>>) -> Self {
        Self {
            by_name: Ordered::of(entries.clone(), |a, b| by::<V>(Column::Name, a, b)),
            by_version: Ordered::of(entries.clone(), |a, b| by::<V>(Column::Version, a, b)),
            by_stock: Ordered::of(entries.clone(), |a, b| by::<V>(Column::Stock, a, b)),
            by_position: Ordered::of(entries.clone(), |a, b| by::<V>(Column::Position, a, b)),
            by_id: Ordered::of(entries, |a, b| by::<V>(Column::BookId, a, b)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, book: BookId) -> Option<&V::Row> {
        self.entry(book).map(|entry| &entry.row)
    }

    fn entry(&self, book: BookId) -> Option<&Shared<V>> {
        let rank = self.by_id.rank(|entry| facts::<V>(entry).book_id < book);
        self.by_id.from(rank).next().filter(|entry| facts::<V>(entry).book_id == book)
    }

    /// The same rows with these instead of those of the same books.
    pub(crate) fn with(&self, rows: Vec<V::Row>) -> Self {
        let come: Vec<_> = rows.into_iter().map(entry::<V>).collect();
        let gone: Vec<_> =
            come.iter().filter_map(|entry| self.entry(facts::<V>(entry).book_id).cloned()).collect();
        let mut next = self.clone();
        for order in next.orders() {
            order.change(&gone, come.iter().cloned());
        }
        next
    }

    /// The same without all but the `size` rows that changed last, and the position of the last change left out.
    pub(crate) fn latest(&self, size: usize) -> (Self, u64) {
        let rank = self.by_position.len().saturating_sub(size);
        let left_out = self.by_position.back_from(rank).next();
        let left_out = left_out.map_or(0, |entry| facts::<V>(entry).position);
        (Self::of_entries(self.by_position.from(rank).cloned().collect()), left_out)
    }

    fn orders(&mut self) -> [&mut Ordered<Shared<V>>; 5] {
        [&mut self.by_id, &mut self.by_name, &mut self.by_version, &mut self.by_stock, &mut self.by_position]
    }

    fn sorted_by(&self, column: Column) -> &Ordered<Shared<V>> {
        match column {
            Column::BookId => &self.by_id,
            Column::Name => &self.by_name,
            Column::Version => &self.by_version,
            Column::Stock => &self.by_stock,
            Column::Position => &self.by_position,
        }
    }

    /// The part of the list that is asked for.
    pub(crate) fn list(&self, request: &ListRequest) -> Page<V::Row> {
        let size = usize::try_from(request.size).unwrap_or(usize::MAX);
        let offset = usize::try_from(request.offset()).unwrap_or(usize::MAX);
        let order = request.order();
        let filter = &request.filter;
        if request.is_walk() {
            let mut found = self.walk(request).filter(|entry| passes::<V>(filter, entry));
            let rows: Vec<_> = found.by_ref().take(size).map(|entry| entry.row.clone()).collect();
            let more = found.next().is_some();
            let next = rows.last().filter(|_| more).map(|last| request.mark(V::facts(last)));
            return Page { rows, total: None, next };
        }
        if let [(column, direction)] = order[..]
            && filter.is_empty()
        {
            let sorted = self.sorted_by(column);
            let rows = match direction {
                Order::Ascending => taken(sorted.from(offset.min(sorted.len())), size),
                Order::Descending => taken(sorted.back_from(sorted.len().saturating_sub(offset)), size),
            };
            return Page { rows, total: u64::try_from(self.len()).ok(), next: None };
        }
        let mut found = self.found(filter);
        let total = u64::try_from(found.len()).ok();
        let rows = match part(&mut found, offset, size, |a, b| compare::<V>(&order, a, b)) {
            Some(part) => part.iter().map(|entry| entry.row.clone()).collect(),
            None => Vec::new(),
        };
        Page { rows, total, next: None }
    }

    /// All of the list, in order.
    pub(crate) fn all(&self, request: &ListRequest) -> Vec<Shared<V>> {
        let order = request.order();
        if order.len() == 1 {
            let beginning = ListRequest { place: Place::Beginning, ..request.clone() };
            return self
                .walk(&beginning)
                .filter(|entry| passes::<V>(&request.filter, entry))
                .cloned()
                .collect();
        }
        let mut found: Vec<_> = self.found(&request.filter).into_iter().cloned().collect();
        found.sort_unstable_by(|a, b| compare::<V>(&order, a, b));
        found
    }

    /// The rows from the mark on, in the order of the first column.
    fn walk<'a>(&'a self, request: &ListRequest) -> Box<dyn Iterator<Item = &'a Shared<V>> + 'a> {
        let (column, direction) =
            request.order().first().copied().unwrap_or((Column::BookId, Order::Ascending));
        let sorted = self.sorted_by(column);
        let Place::After(mark) = &request.place else {
            return match direction {
                Order::Ascending => Box::new(sorted.from(0)),
                Order::Descending => Box::new(sorted.back_from(sorted.len())),
            };
        };
        match direction {
            Order::Ascending => {
                Box::new(sorted.from(sorted.rank(|entry| mark.compare(facts::<V>(entry)).is_le())))
            }
            Order::Descending => {
                Box::new(sorted.back_from(sorted.rank(|entry| mark.compare(facts::<V>(entry)).is_lt())))
            }
        }
    }

    fn found(&self, filter: &Filter) -> Vec<&Shared<V>> {
        self.by_id.from(0).filter(|entry| passes::<V>(filter, entry)).collect()
    }
}

fn taken<'a, Row: Clone + 'a>(entries: impl Iterator<Item = &'a Arc<Entry<Row>>>, size: usize) -> Vec<Row> {
    entries.take(size).map(|entry| entry.row.clone()).collect()
}

/// The items that a sort would bring to `offset` and after it, in order, without sorting the others.
fn part<T>(
    items: &mut [T],
    offset: usize,
    size: usize,
    compare: impl Fn(&T, &T) -> Ordering + Copy,
) -> Option<&mut [T]> {
    if offset >= items.len() {
        return None;
    }
    let (_, _, _) = items.select_nth_unstable_by(offset, compare);
    let rest = items.get_mut(offset..)?;
    if size < rest.len() {
        let (_, _, _) = rest.select_nth_unstable_by(size, compare);
    }
    let size = size.min(rest.len());
    let part = rest.get_mut(..size)?;
    part.sort_unstable_by(compare);
    Some(part)
}

fn entry<V: Listed>(row: V::Row) -> Shared<V> {
    let search = search::key(V::facts(&row).name).into_boxed_str();
    Arc::new(Entry { row, search })
}

fn facts<V: Listed>(entry: &Entry<V::Row>) -> Facts<'_> {
    V::facts(&entry.row)
}

fn passes<V: Listed>(filter: &Filter, entry: &Entry<V::Row>) -> bool {
    filter.is_empty() || filter.passes(facts::<V>(entry), &entry.search)
}

/// The order of one column, with ties in the order of the ids.
fn by<V: Listed>(column: Column, one: &Entry<V::Row>, other: &Entry<V::Row>) -> Ordering {
    compare::<V>(&[(column, Order::Ascending)], one, other)
}

fn compare<V: Listed>(order: &[(Column, Order)], one: &Entry<V::Row>, other: &Entry<V::Row>) -> Ordering {
    let (one, other) = (facts::<V>(one), facts::<V>(other));
    let in_columns = order.iter().map(|(column, direction)| direction.of(column.compare(one, other)));
    let ties = order.first().map_or(Order::Ascending, |(_, direction)| *direction);
    in_columns.fold(Ordering::Equal, Ordering::then).then_with(|| ties.of(one.book_id.cmp(&other.book_id)))
}
