//! The edition of a book: an exact decimal.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// The largest edition, in hundredths.
const MAX: u32 = 100_000_000;

/// An edition (판), on the wire `version`: an exact decimal from 0.01 to 1000000 with at most two places. In JSON a
/// number whose text is read and written as it is; no binary float comes near it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edition {
    hundredths: u32,
}

/// The text is no edition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is a decimal from 0.01 to 1000000 with at most two places, such as 2.0, not {0}")]
pub struct EditionError(String);

impl Edition {
    /// Where a book begins when nobody says otherwise: 1.0.
    pub const FIRST: Self = Self { hundredths: 100 };

    /// The next whole number, if there is one left.
    #[must_use]
    pub fn next_whole(self) -> Option<Self> {
        Self::from_hundredths((self.hundredths / 100 + 1) * 100)
    }

    /// The edition that is so many hundredths, if it is within the range.
    #[must_use]
    pub fn from_hundredths(hundredths: u32) -> Option<Self> {
        (1..=MAX).contains(&hundredths).then_some(Self { hundredths })
    }

    /// The edition in hundredths: 1.25 is 125.
    #[must_use]
    pub fn hundredths(self) -> u32 {
        self.hundredths
    }
}

impl std::str::FromStr for Edition {
    type Err = EditionError;

    fn from_str(text: &str) -> Result<Self, EditionError> {
        parse(text).and_then(Self::from_hundredths).ok_or_else(|| EditionError(text.to_owned()))
    }
}

/// The hundredths that a plain decimal stands for, however many zeros end it.
fn parse(text: &str) -> Option<u32> {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(places) {
        return None;
    }
    let hundredths = match places.trim_end_matches('0') {
        "" => 0,
        tenths if tenths.len() == 1 => tenths.parse::<u32>().ok()? * 10,
        exact if exact.len() == 2 => exact.parse().ok()?,
        _ => return None,
    };
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(hundredths)
}

impl std::fmt::Display for Edition {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, hundredths) = (self.hundredths / 100, self.hundredths % 100);
        if hundredths % 10 == 0 {
            write!(out, "{whole}.{}", hundredths / 10)
        } else {
            write!(out, "{whole}.{hundredths:02}")
        }
    }
}

impl Serialize for Edition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Edition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer)?.get().parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> Option<String> {
        text.parse::<Edition>().ok().map(|edition| edition.to_string())
    }

    #[test]
    fn an_edition_is_written_with_one_place_or_two() {
        for (text, canonical) in [
            ("1", "1.0"),
            ("1.0", "1.0"),
            ("2.5", "2.5"),
            ("1.25", "1.25"),
            ("1.2500", "1.25"),
            ("0.05", "0.05"),
        ] {
            assert_eq!(written(text).as_deref(), Some(canonical), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_decimal_in_range_is_no_edition() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "1.234",
            "0",
            "0.001",
            "-1",
            "+1",
            "1e2",
            "NaN",
            "1000000.01",
            "99999999999",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[test]
    fn the_next_whole_edition_follows_any_place() {
        let next =
            |text: &str| text.parse::<Edition>().unwrap().next_whole().map(|edition| edition.to_string());
        assert_eq!(next("1.0").as_deref(), Some("2.0"));
        assert_eq!(next("1.99").as_deref(), Some("2.0"));
        assert_eq!(next("1000000"), None);
    }

    #[test]
    fn an_edition_in_json_is_a_number_and_nothing_else() {
        assert_eq!(serde_json::to_string(&Edition::FIRST).unwrap(), "1.0");
        assert_eq!(serde_json::from_str::<Edition>("1.10").unwrap().to_string(), "1.1");
        assert!(serde_json::from_str::<Edition>(r#""1.0""#).is_err());
    }

    proptest! {
        #[test]
        fn every_edition_survives_its_text(hundredths in 1..=MAX) {
            let edition = Edition::from_hundredths(hundredths).unwrap();
            prop_assert_eq!(serde_json::from_str::<Edition>(&serde_json::to_string(&edition).unwrap()).unwrap(), edition);
        }
    }
}
