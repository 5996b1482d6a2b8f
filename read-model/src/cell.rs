//! What a view writes into a column, and how PostgreSQL is told it.

use bytes::BytesMut;
use std::borrow::Cow;
use std::error::Error;
use std::time::SystemTime;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// A cell of a row that is written.
#[derive(Clone, Debug)]
pub enum Cell<'a> {
    /// An `int8`.
    Bigint(i64),
    /// A `text`.
    Text(Cow<'a, str>),
    /// A `numeric` with two decimals, told in hundredths and not negative.
    Hundredths(i32),
    /// A `timestamptz`.
    Moment(SystemTime),
    /// None.
    Null,
}

impl<'a> Cell<'a> {
    /// A `text`, or none.
    #[must_use]
    pub fn text(text: Option<&'a str>) -> Self {
        match text {
            None => Self::Null,
            // PostgreSQL's text holds no NUL, which an actor or a correlation id that others wrote may.
            Some(text) if text.contains('\0') => Self::Text(text.replace('\0', "\u{fffd}").into()),
            Some(text) => Self::Text(text.into()),
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Bigint(number) => number.to_sql(&Type::INT8, out),
            Self::Text(text) => text.to_sql(&Type::TEXT, out),
            Self::Hundredths(hundredths) => {
                out.extend_from_slice(&numeric(*hundredths));
                Ok(IsNull::No)
            }
            Self::Moment(at) => at.to_sql(&Type::TIMESTAMPTZ, out),
            Self::Null => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// As PostgreSQL takes a `numeric`: how many digits there are, the power of 10,000 that the first one counts, the sign, how
/// many decimals are shown, and the digits, to the base of 10,000.
fn numeric(hundredths: i32) -> [u8; 14] {
    let (whole, part) = (hundredths / 100, hundredths % 100);
    let fields = [3, 1, 0, 2, whole / 10_000, whole % 10_000, part * 100];
    let mut bytes = [0; 14];
    for (field, to) in fields.iter().zip(bytes.chunks_exact_mut(2)) {
        // Each is less than 2^15: an edition has at most seven digits before its decimals.
        to.copy_from_slice(&i16::try_from(*field).unwrap_or(i16::MAX).to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeric_is_what_postgresql_makes_of_it() {
        assert_eq!(numeric(123_456_789), [0, 3, 0, 1, 0, 0, 0, 2, 0, 123, 17, 215, 34, 196]);
    }
}
