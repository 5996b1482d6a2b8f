//! Pages of a list.

/// Which page of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageRequest<Column> {
    /// From 0.
    pub page: u64,
    /// Rows on a page.
    pub size: u32,
    /// What to sort by, the most important first. Rows that are equal in all of it, or in nothing at all, come in the
    /// order of their book ids, so that pages never overlap.
    pub sort: Vec<(Column, Order)>,
}

/// Which way to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Smallest first; rows without a value last.
    Ascending,
    /// Largest first; rows without a value first.
    Descending,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<Row> {
    /// The rows of this page.
    pub rows: Vec<Row>,
    /// The rows of all pages together.
    pub total: u64,
}

/// A column that a list can be sorted by. Being an enum of each view, it keeps input out of the SQL.
pub trait SortColumn: Copy + PartialEq {
    /// The column in the view's table.
    fn name(self) -> &'static str;
}

impl<Column: SortColumn> PageRequest<Column> {
    /// The ORDER BY list over the table `v`. A column named twice counts once, the first time.
    pub(crate) fn order_by(&self) -> String {
        let mut named: Vec<&str> = Vec::new();
        let mut order = String::new();
        for (column, direction) in &self.sort {
            let name = column.name();
            if !named.contains(&name) {
                named.push(name);
                let direction = match direction {
                    Order::Ascending => "ASC",
                    Order::Descending => "DESC",
                };
                order.push_str(&format!("v.{name} {direction}, "));
            }
        }
        order + "v.book_id"
    }

    /// The rows before this page.
    pub(crate) fn offset(&self) -> u64 {
        self.page.saturating_mul(self.size.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Column {
        BookId,
        Stock,
    }

    impl SortColumn for Column {
        fn name(self) -> &'static str {
            match self {
                Self::BookId => "book_id",
                Self::Stock => "stock",
            }
        }
    }

    fn sorted_by(sort: &[(Column, Order)]) -> PageRequest<Column> {
        PageRequest { page: 2, size: 20, sort: sort.to_vec() }
    }

    #[test]
    fn ties_are_broken_by_the_book_id() {
        assert_eq!(sorted_by(&[]).order_by(), "v.book_id");
        assert_eq!(sorted_by(&[(Column::Stock, Order::Descending)]).order_by(), "v.stock DESC, v.book_id");
        assert_eq!(sorted_by(&[(Column::BookId, Order::Descending)]).order_by(), "v.book_id DESC, v.book_id");
    }

    #[test]
    fn a_column_named_twice_counts_once() {
        let twice = [(Column::Stock, Order::Ascending), (Column::Stock, Order::Descending)];
        assert_eq!(sorted_by(&twice).order_by(), "v.stock ASC, v.book_id");
    }

    #[test]
    fn a_page_beyond_all_numbers_is_far_away_and_no_panic() {
        assert_eq!(sorted_by(&[]).offset(), 40);
        assert_eq!(PageRequest { page: u64::MAX, ..sorted_by(&[]) }.offset(), u64::MAX);
    }
}
