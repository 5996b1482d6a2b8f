//! Receiving lists, and the command that sends them.

use crate::{Place, Process, Site, command};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// How many rows and copies the real list has, and the one that is made up where that is missing.
const ROWS: u64 = 10_000;
const COPIES: u64 = 757_127;

/// A CSV file of one row a book, and the stocks it leads to.
#[derive(Clone, Debug)]
pub struct ReceivingList {
    /// The file.
    pub path: PathBuf,
    /// The stock of every book in it, in a library that was empty before.
    pub stocks: BTreeMap<u64, u64>,
}

impl ReceivingList {
    /// A copy of the list of ten thousand real books beside the checkout; made up where that is missing.
    ///
    /// # Panics
    /// When it cannot be read or written.
    #[must_use]
    pub fn ten_thousand(place: &Place) -> Self {
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/receiving.csv");
        Self::write(place, &fs::read_to_string(real).unwrap_or_else(|_| made_up()))
    }

    /// A list of `text`, which has columns `bookId` and `qty` and no book twice.
    ///
    /// # Panics
    /// When it cannot be read or written.
    #[must_use]
    pub fn write(place: &Place, text: &str) -> Self {
        let path = place.path().join("receiving.csv");
        fs::write(&path, text).unwrap();
        let mut list = csv::Reader::from_reader(text.as_bytes());
        let mut column =
            |name: &str| list.headers().unwrap().iter().position(|header| header == name).unwrap();
        let (book, qty) = (column("bookId"), column("qty"));
        let mut stocks = BTreeMap::new();
        for row in list.records().map(Result::unwrap) {
            assert_eq!(stocks.insert(row[book].parse().unwrap(), row[qty].parse().unwrap()), None, "{row:?}");
        }
        Self { path, stocks }
    }

    /// All copies of all books.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.stocks.values().sum()
    }

    /// Begins to send it to `site`.
    #[must_use]
    pub fn send(&self, place: &Place, site: &Site) -> Process {
        let mut receive = command("bookstock");
        receive.arg("receive").arg(&self.path).args(["--url", &site.url("")]);
        Process::start(place, "receive", &mut receive)
    }
}

fn made_up() -> String {
    let qty = |book: u64| 1 + book * 7_919 % 150;
    let mut text = "bookId,name,qty\n".to_owned();
    for book in 1..ROWS {
        text.push_str(&format!("{book},Book {book},{}\n", qty(book)));
    }
    let rest = COPIES - (1..ROWS).map(qty).sum::<u64>();
    text.push_str(&format!("{ROWS},Book {ROWS},{rest}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_is_made_up_is_as_large_as_the_real_one() {
        let list = ReceivingList::write(&Place::new(), &made_up());
        assert_eq!((list.stocks.len() as u64, list.total()), (ROWS, COPIES));
    }
}
