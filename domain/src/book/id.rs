//! Which book.

use serde::{Deserialize, Serialize};

/// What the names of all book streams begin with.
pub const STREAM_PREFIX: &str = "book-";

/// The largest id: 2^53 - 1, the largest integer that every JSON reader keeps exactly.
const MAX: u64 = (1 << 53) - 1;

/// A book's number, 1 to 2^53 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct BookId(u64);

/// The number is no book's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a bookId is a whole number from 1 to 9007199254740991, not {0}")]
pub struct BookIdError(String);

impl BookId {
    /// The last id there is.
    pub const MAX: Self = Self(MAX);

    /// The book's stream.
    #[must_use]
    pub fn stream(self) -> String {
        format!("{STREAM_PREFIX}{}", self.0)
    }

    /// The book whose stream has this name, if it is a book's stream in its one canonical spelling.
    #[must_use]
    pub fn of_stream(name: &str) -> Option<Self> {
        let digits = name.strip_prefix(STREAM_PREFIX)?;
        let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for BookId {
    type Error = BookIdError;

    fn try_from(number: u64) -> Result<Self, BookIdError> {
        if (1..=MAX).contains(&number) { Ok(Self(number)) } else { Err(BookIdError(number.to_string())) }
    }
}

impl From<BookId> for u64 {
    fn from(id: BookId) -> Self {
        id.0
    }
}

impl std::str::FromStr for BookId {
    type Err = BookIdError;

    fn from_str(text: &str) -> Result<Self, BookIdError> {
        text.parse::<u64>().map_err(|_| BookIdError(text.to_owned())).and_then(Self::try_from)
    }
}

impl std::fmt::Display for BookId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_leads_back_to_its_book() {
        let id = BookId::try_from(42).unwrap();
        assert_eq!(id.stream(), "book-42");
        assert_eq!(BookId::of_stream("book-42"), Some(id));
    }

    #[test]
    fn other_spellings_are_no_book_streams() {
        for name in ["book-0", "book-042", "book-+42", "book-", "book-4x", "books-4", "book-9007199254740992"]
        {
            assert_eq!(BookId::of_stream(name), None, "{name}");
        }
    }
}
