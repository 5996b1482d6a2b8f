//! A moment, as events carry it.

use serde::{Deserialize, Serialize};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

const FORMAT: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A moment in UTC, exact to the microsecond; on the wire `2026-11-24T08:05:00.000000Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
pub struct Timestamp(i64);

/// The text or number is no moment between the years 0 and 9999.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time such as 2026-11-24T08:05:00Z")]
pub struct NotATime(String);

impl Timestamp {
    /// The moment so many microseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`NotATime`] outside the years 0 to 9999.
    pub fn from_unix_micros(micros: i64) -> Result<Self, NotATime> {
        moment(micros).map(|_| Self(micros)).ok_or_else(|| NotATime(micros.to_string()))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_micros(self) -> i64 {
        self.0
    }
}

fn moment(micros: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .ok()
        .filter(|moment| (0..=9999).contains(&moment.year()))
}

impl TryFrom<std::borrow::Cow<'_, str>> for Timestamp {
    type Error = NotATime;

    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, NotATime> {
        OffsetDateTime::parse(&text, &Rfc3339)
            .ok()
            .and_then(|moment| {
                i64::try_from(moment.to_offset(UtcOffset::UTC).unix_timestamp_nanos().div_euclid(1_000)).ok()
            })
            .and_then(|micros| Self::from_unix_micros(micros).ok())
            .ok_or_else(|| NotATime(text.into_owned()))
    }
}

impl std::str::FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        Self::try_from(std::borrow::Cow::Borrowed(text))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = moment(self.0).and_then(|moment| moment.format(FORMAT).ok()).ok_or(std::fmt::Error)?;
        out.write_str(&text)
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc_with_microseconds_and_read_from_any_offset() {
        let written = "2026-11-24T17:05:00.1234567+09:00".parse::<Timestamp>().unwrap();
        assert_eq!(written.to_string(), "2026-11-24T08:05:00.123456Z");
        assert_eq!("2026-11-24T08:05:00.123456Z".parse(), Ok(written));
        assert!("24.11.2026".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_moment_that_cannot_be_written_is_refused() {
        assert!(Timestamp::from_unix_micros(i64::MAX).is_err());
        assert_eq!(Timestamp::from_unix_micros(0).unwrap().to_string(), "1970-01-01T00:00:00.000000Z");
    }
}
