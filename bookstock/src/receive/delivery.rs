//! Which delivery a list is: what makes the keys of its rows its own.

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// The longest name, in characters: with a line's number behind it, it is still an idempotency key.
const MAX_LENGTH: usize = 200;

/// The name of a delivery: 1 to 200 visible ASCII characters, no quote and no backslash among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery(String);

/// The text cannot name a delivery.
#[derive(Debug, thiserror::Error)]
#[error(
    "a delivery has a name of 1 to {MAX_LENGTH} visible ASCII characters, no space, quote or backslash among them"
)]
pub struct NotADelivery;

impl Delivery {
    /// The name that follows from what is in the file, so that another content is another delivery.
    #[must_use]
    pub fn of_content(content: &[u8]) -> Self {
        let hash = Sha256::digest(content);
        Self(hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The idempotency key of the row on `line`.
    #[must_use]
    pub fn key(&self, line: u64) -> String {
        format!("{}:{line}", self.0)
    }
}

impl FromStr for Delivery {
    type Err = NotADelivery;

    fn from_str(text: &str) -> Result<Self, NotADelivery> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        let named = visible && (1..=MAX_LENGTH).contains(&text.len());
        named.then(|| Self(text.to_owned())).ok_or(NotADelivery)
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_the_same_delivery_and_another_is_another() {
        let delivery = Delivery::of_content(b"bookId,qty\n1,2\n");
        assert_eq!(delivery.key(2), "04a462c27f70b77a490bc631:2");
        assert_eq!(delivery, Delivery::of_content(b"bookId,qty\n1,2\n"));
        assert_ne!(delivery, Delivery::of_content(b"bookId,qty\n1,3\n"));
    }

    #[test]
    fn a_name_that_no_header_carries_is_refused() {
        assert!("2026-11-24/truck-7".parse::<Delivery>().is_ok());
        for bad in ["", "two words", "quo\"te", "입고", &"x".repeat(201)] {
            assert!(bad.parse::<Delivery>().is_err(), "{bad}");
        }
    }
}
