//! Our numbers, names and moments as SQL values, and back. Nothing passes through a binary float: an edition travels
//! as its hundredths, a moment as its microseconds.

use domain::Timestamp;
use domain::book::{BookId, BookName, Edition, Reason, Stock};
use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

/// A row holds what no view wrote: somebody else changed it, or the code that reads it is older than the tables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a row of the read models cannot be read: {0}; verify it, and rebuild the read models (replay rebuild)"
)]
pub struct Unreadable(String);

impl Unreadable {
    pub(crate) fn new(what: String) -> Self {
        Self(what)
    }
}

/// A position, a revision or a book id; none of them passes 2^63 - 1.
pub(crate) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// None passes 2^31 - 1.
pub(crate) fn hundredths(edition: Edition) -> i32 {
    i32::try_from(edition.hundredths()).unwrap_or(i32::MAX)
}

pub(crate) fn moment(at: Timestamp) -> SystemTime {
    let micros = at.unix_micros();
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

pub(crate) fn read_book_id(row: &Row, column: usize) -> Result<BookId, Unreadable> {
    book_id(read(row, column)?)
}

/// A book id that was selected by itself.
pub(crate) fn book_id(number: i64) -> Result<BookId, Unreadable> {
    u64::try_from(number).map_err(unreadable).and_then(|number| BookId::try_from(number).map_err(unreadable))
}

pub(crate) fn read_reason(row: &Row, column: usize) -> Result<Option<Reason>, Unreadable> {
    let reason: Option<&str> = read(row, column)?;
    reason.map(str::parse).transpose().map_err(unreadable)
}

pub(crate) fn read_name(row: &Row, column: usize) -> Result<Option<BookName>, Unreadable> {
    let name: Option<&str> = read(row, column)?;
    name.map(str::parse).transpose().map_err(unreadable)
}

/// An edition that was selected as hundredths.
pub(crate) fn read_edition(row: &Row, column: usize) -> Result<Edition, Unreadable> {
    let hundredths: i32 = read(row, column)?;
    u32::try_from(hundredths)
        .ok()
        .and_then(Edition::from_hundredths)
        .ok_or_else(|| Unreadable(format!("{hundredths} hundredths are no edition")))
}

pub(crate) fn read_stock(row: &Row, column: usize) -> Result<Stock, Unreadable> {
    Stock::try_from(read::<i64>(row, column)?).map_err(unreadable)
}

pub(crate) fn read_u64(row: &Row, column: usize) -> Result<u64, Unreadable> {
    u64::try_from(read::<i64>(row, column)?).map_err(unreadable)
}

pub(crate) fn read_moment(row: &Row, column: usize) -> Result<Timestamp, Unreadable> {
    timestamp(read(row, column)?)
}

pub(crate) fn read_moment_if_any(row: &Row, column: usize) -> Result<Option<Timestamp>, Unreadable> {
    read::<Option<SystemTime>>(row, column)?.map(timestamp).transpose()
}

fn timestamp(at: SystemTime) -> Result<Timestamp, Unreadable> {
    let micros = match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()),
        Err(before) => i64::try_from(before.duration().as_micros()).map(|micros| -micros),
    };
    Timestamp::from_unix_micros(micros.map_err(unreadable)?).map_err(unreadable)
}

/// An event id that was selected as text.
pub(crate) fn parse_event_id(text: &str) -> Result<Uuid, Unreadable> {
    text.parse().map_err(unreadable)
}

pub(crate) fn read<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Unreadable> {
    row.try_get(column).map_err(unreadable)
}

fn unreadable(error: impl Display) -> Unreadable {
    Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_exact_to_the_microsecond_before_1970_too() {
        for micros in [0, 1, 1_700_000_000_000_001, -1, -62_167_219_200_000_000] {
            let at = Timestamp::from_unix_micros(micros).unwrap();
            let (earlier, later) = (moment(at).min(UNIX_EPOCH), moment(at).max(UNIX_EPOCH));
            let distance = later.duration_since(earlier).unwrap();
            assert_eq!(distance, Duration::from_micros(micros.unsigned_abs()));
            assert_eq!(moment(at) < UNIX_EPOCH, micros < 0);
        }
    }
}
