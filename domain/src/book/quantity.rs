//! How many copies.

use serde::{Deserialize, Serialize};

/// The most copies that one warehousing can bring.
const MAX_QUANTITY: u32 = 1_000_000;

/// The most copies of one book that the library can hold.
pub const MAX_STOCK: Stock = 1_000_000_000;

/// The copies of a book in stock. It has no sign: a stock is never negative.
pub type Stock = u32;

/// The copies (수량) that one warehousing brings: 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u32")]
pub struct Quantity(u32);

/// The number is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a qty is a whole number from 1 to 1000000, not {0}")]
pub struct QuantityError(String);

impl Quantity {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for Quantity {
    type Error = QuantityError;

    fn try_from(number: u64) -> Result<Self, QuantityError> {
        u32::try_from(number)
            .ok()
            .filter(|number| (1..=MAX_QUANTITY).contains(number))
            .map(Self)
            .ok_or_else(|| QuantityError(number.to_string()))
    }
}

impl From<Quantity> for u32 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl std::str::FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        text.parse::<u64>().map_err(|_| QuantityError(text.to_owned())).and_then(Self::try_from)
    }
}

/// How many copies more or fewer: a whole number from -1,000,000,000 to 1,000,000,000, and not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i32")]
pub struct QtyDelta(i32);

/// The number is no difference between two stocks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a qtyDelta is a whole number from -1000000000 to 1000000000 other than 0; given was {0}")]
pub struct QtyDeltaError(String);

impl QtyDelta {
    /// The number.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

impl TryFrom<i64> for QtyDelta {
    type Error = QtyDeltaError;

    fn try_from(number: i64) -> Result<Self, QtyDeltaError> {
        i32::try_from(number)
            .ok()
            .filter(|number| (1..=MAX_STOCK).contains(&number.unsigned_abs()))
            .map(Self)
            .ok_or_else(|| QtyDeltaError(number.to_string()))
    }
}

impl From<QtyDelta> for i32 {
    fn from(delta: QtyDelta) -> Self {
        delta.0
    }
}

impl std::str::FromStr for QtyDelta {
    type Err = QtyDeltaError;

    fn from_str(text: &str) -> Result<Self, QtyDeltaError> {
        text.parse::<i64>().map_err(|_| QtyDeltaError(text.to_owned())).and_then(Self::try_from)
    }
}

impl std::fmt::Display for QtyDelta {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_at_most_all_that_fits_and_not_zero() {
        for (text, valid) in [
            ("1", true),
            ("-1", true),
            ("1000000000", true),
            ("-1000000000", true),
            ("0", false),
            ("1000000001", false),
            ("-1000000001", false),
            ("9999999999999999999", false),
            ("1.5", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<QtyDelta>().is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn a_quantity_is_one_to_a_million() {
        for (text, valid) in
            [("1", true), ("1000000", true), ("0", false), ("1000001", false), ("-1", false), ("1.5", false)]
        {
            assert_eq!(text.parse::<Quantity>().is_ok(), valid, "{text}");
        }
    }
}
