//! What is stored. The type names and the JSON are pinned: every shape ever written stays readable.

use super::edition::Edition;
use super::id::BookId;
use super::name::BookName;
use super::quantity::{QtyDelta, Quantity, Stock};
use super::reason::Reason;
use crate::Timestamp;
use crate::decider::DecodeError;
use crate::metadata::{Provenance, SCHEMA_VERSION};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// Something that happened to a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookEvent {
    /// 입고: copies came in.
    Warehoused(Warehoused),
    /// 재판: a new edition came out.
    Renewed(Renewed),
    /// 재고 정정: the stock was put right.
    Corrected(Corrected),
    /// 건너뛰기: an event that nobody can read was taken out.
    Skipped(Skipped),
}

/// Copies of a book came in; the first of these makes the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warehoused {
    /// Which book.
    pub book_id: BookId,
    /// How many copies came in.
    pub qty: Quantity,
    /// Of which edition.
    pub version: Edition,
    /// The book's name from now on, where one was given.
    pub name: Option<BookName>,
    /// When.
    pub occurred_at: Timestamp,
}

/// A book was reprinted as a new edition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewed {
    /// Which book.
    pub book_id: BookId,
    /// The new edition.
    pub version: Edition,
    /// The copies of its first run: the stock from now on.
    pub stock: Stock,
    /// When.
    pub occurred_at: Timestamp,
}

/// The stock of a book was put right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Corrected {
    /// Which book.
    pub book_id: BookId,
    /// How many copies more or fewer there are from now on.
    pub qty_delta: QtyDelta,
    /// Why the stock was wrong.
    pub reason: Reason,
    /// When.
    pub occurred_at: Timestamp,
}

/// An event of this book that nobody can read was taken out: every fold goes on as if it had not happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// Which book.
    pub book_id: BookId,
    /// The revision of the event that is taken out, an earlier one of the same stream.
    pub revision: u64,
    /// Why.
    pub reason: Reason,
    /// When.
    pub occurred_at: Timestamp,
}

impl BookEvent {
    const WAREHOUSED: &'static str = "Warehoused";
    const RENEWED: &'static str = "Renewed";
    const CORRECTED: &'static str = "Corrected";
    const SKIPPED: &'static str = "Skipped";

    /// When it happened.
    #[must_use]
    pub fn occurred_at(&self) -> Timestamp {
        match self {
            Self::Warehoused(event) => event.occurred_at,
            Self::Renewed(event) => event.occurred_at,
            Self::Corrected(event) => event.occurred_at,
            Self::Skipped(event) => event.occurred_at,
        }
    }

    /// Which book it happened to.
    #[must_use]
    pub fn book_id(&self) -> BookId {
        match self {
            Self::Warehoused(event) => event.book_id,
            Self::Renewed(event) => event.book_id,
            Self::Corrected(event) => event.book_id,
            Self::Skipped(event) => event.book_id,
        }
    }

    /// The revision that this event, at revision `own`, takes out of its stream. Nothing takes out what comes later.
    #[must_use]
    pub fn skips(&self, own: u64) -> Option<u64> {
        match self {
            Self::Skipped(event) => Some(event.revision).filter(|revision| *revision < own),
            Self::Warehoused(_) | Self::Renewed(_) | Self::Corrected(_) => None,
        }
    }

    /// The pinned type name and the JSON of the event.
    #[must_use]
    pub fn encode(&self) -> (&'static str, Vec<u8>) {
        match self {
            Self::Warehoused(event) => (Self::WAREHOUSED, json(event)),
            Self::Renewed(event) => (Self::RENEWED, json(event)),
            Self::Corrected(event) => (Self::CORRECTED, json(event)),
            Self::Skipped(event) => (Self::SKIPPED, json(event)),
        }
    }

    /// Reads an event of any shape that was ever written. `metadata` tells the version of the shape; without it, it
    /// is the first.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(event_type: &str, data: &[u8], metadata: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_with_provenance(event_type, data, metadata).map(|(event, _)| event)
    }

    /// Reads an event of any shape that was ever written, and who and what stood behind it.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_with_provenance(
        event_type: &str,
        data: &[u8],
        metadata: &[u8],
    ) -> Result<(Self, Provenance), DecodeError> {
        let told = told(event_type, metadata)?;
        let version = told.schema_version.unwrap_or(SCHEMA_VERSION);
        let event = match (event_type, version) {
            (Self::WAREHOUSED, SCHEMA_VERSION) => read(event_type, data).map(Self::Warehoused),
            (Self::RENEWED, SCHEMA_VERSION) => read(event_type, data).map(Self::Renewed),
            (Self::CORRECTED, SCHEMA_VERSION) => read(event_type, data).map(Self::Corrected),
            (Self::SKIPPED, SCHEMA_VERSION) => read(event_type, data).map(Self::Skipped),
            (Self::WAREHOUSED | Self::RENEWED | Self::CORRECTED | Self::SKIPPED, version) => {
                Err(DecodeError::UnknownVersion { event_type: event_type.to_owned(), version })
            }
            _ => Err(DecodeError::UnknownType(event_type.to_owned())),
        }?;
        let provenance = Provenance {
            actor: told.actor.and_then(Told::text),
            correlation_id: told.correlation_id.and_then(Told::text),
            traceparent: told.traceparent.and_then(Told::text),
        };
        Ok((event, provenance))
    }
}

/// What the metadata tells. Only the version must make sense.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    schema_version: Option<u32>,
    actor: Option<Told>,
    #[serde(rename = "$correlationId")]
    correlation_id: Option<Told>,
    traceparent: Option<Told>,
}

/// What should be a text, and may be anything where others wrote.
#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Text(String),
    Else(IgnoredAny),
}

impl Told {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Else(_) => None,
        }
    }
}

fn told(event_type: &str, metadata: &[u8]) -> Result<Metadata, DecodeError> {
    if metadata.is_empty() { Ok(Metadata::default()) } else { read(event_type, metadata) }
}

fn read<T: DeserializeOwned>(event_type: &str, json: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(json).map_err(|error| DecodeError::Malformed {
        event_type: event_type.to_owned(),
        reason: error.to_string(),
    })
}

#[allow(clippy::expect_used, reason = "a struct of numbers and strings always has a JSON form")]
fn json(event: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(event).expect("an event is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn warehoused(name: Option<&str>) -> BookEvent {
        BookEvent::Warehoused(Warehoused {
            book_id: BookId::try_from(1).unwrap(),
            qty: Quantity::try_from(123).unwrap(),
            version: Edition::FIRST,
            name: name.map(|name| name.parse().unwrap()),
            occurred_at: "2021-02-24T11:31:46.5Z".parse().unwrap(),
        })
    }

    fn renewed() -> BookEvent {
        BookEvent::Renewed(Renewed {
            book_id: BookId::try_from(1).unwrap(),
            version: "2.0".parse().unwrap(),
            stock: 100,
            occurred_at: "2021-02-24T11:33:40Z".parse().unwrap(),
        })
    }

    fn corrected() -> BookEvent {
        BookEvent::Corrected(Corrected {
            book_id: BookId::try_from(1).unwrap(),
            qty_delta: QtyDelta::try_from(-1107).unwrap(),
            reason: "1230 대신 123".parse().unwrap(),
            occurred_at: "2021-02-24T11:34:00.25Z".parse().unwrap(),
        })
    }

    fn skipped() -> BookEvent {
        BookEvent::Skipped(Skipped {
            book_id: BookId::try_from(1).unwrap(),
            revision: 7,
            reason: "옛 도구의 기록".parse().unwrap(),
            occurred_at: "2021-02-24T11:35:00.000001Z".parse().unwrap(),
        })
    }

    /// The golden files are the promise to every store out there: one may be added, none may be changed.
    #[test]
    fn every_event_is_written_and_read_as_its_golden_file_says() {
        let golden = [
            ("Warehoused", include_str!("golden/warehoused.v1.json"), warehoused(Some("해리 포터"))),
            ("Warehoused", include_str!("golden/warehoused-unnamed.v1.json"), warehoused(None)),
            ("Renewed", include_str!("golden/renewed.v1.json"), renewed()),
            ("Corrected", include_str!("golden/corrected.v1.json"), corrected()),
            ("Skipped", include_str!("golden/skipped.v1.json"), skipped()),
        ];
        for (event_type, json, event) in golden {
            let json = json.trim_end();
            let (encoded_type, data) = event.encode();
            assert_eq!((encoded_type, String::from_utf8(data).unwrap().as_str()), (event_type, json));
            let metadata = br#"{"schemaVersion":1,"after":{"anything":[1]}}"#;
            assert_eq!(BookEvent::decode(event_type, json.as_bytes(), metadata), Ok(event.clone()));
            assert_eq!(BookEvent::decode(event_type, json.as_bytes(), b""), Ok(event));
        }
    }

    #[test]
    fn who_stood_behind_an_event_is_told_if_its_metadata_makes_sense() {
        let (_, data) = renewed().encode();
        let told = |metadata: &str| {
            let read = BookEvent::decode_with_provenance("Renewed", &data, metadata.as_bytes());
            let Provenance { actor, correlation_id, traceparent } = read.unwrap().1;
            (actor, correlation_id, traceparent)
        };
        let text = |text: &str| Some(text.to_owned());
        let sense = r#"{"actor":"4f\u0032b","$correlationId":"req-1","traceparent":"00-4b-0f-01"}"#;
        assert_eq!(told(sense), (text("4f2b"), text("req-1"), text("00-4b-0f-01")));
        assert_eq!(told(r#"{"actor":[7],"$correlationId":null,"traceparent":{}}"#), (None, None, None));
        assert_eq!(told(""), (None, None, None));
    }

    #[test]
    fn only_an_earlier_event_can_be_taken_out() {
        assert_eq!(skipped().skips(8), Some(7));
        assert_eq!((skipped().skips(7), skipped().skips(6)), (None, None));
        assert_eq!(renewed().skips(8), None);
    }

    #[test]
    fn an_event_that_cannot_be_read_is_never_guessed() {
        let (_, data) = renewed().encode();
        assert_eq!(BookEvent::decode("Lost", &data, b""), Err(DecodeError::UnknownType("Lost".to_owned())));
        assert!(matches!(
            BookEvent::decode("Renewed", &data, br#"{"schemaVersion":2}"#),
            Err(DecodeError::UnknownVersion { version: 2, .. })
        ));
        for data in [&b""[..], b"{}", b"{\"bookId\":0}", b"\xff", b"[1,2]"] {
            assert!(matches!(BookEvent::decode("Renewed", data, b""), Err(DecodeError::Malformed { .. })));
        }
    }

    proptest! {
        #[test]
        fn every_event_survives_its_encoding(
            id in 1u64..=9_007_199_254_740_991,
            qty in 1u64..=1_000_000,
            hundredths in 1u32..=100_000_000,
            name in proptest::option::of("[^\\p{Cc}\\s]{1,100}"),
            micros in 0i64..4_102_444_800_000_000,
        ) {
            let event = BookEvent::Warehoused(Warehoused {
                book_id: BookId::try_from(id).unwrap(),
                qty: Quantity::try_from(qty).unwrap(),
                version: Edition::from_hundredths(hundredths).unwrap(),
                name: name.map(|name| name.parse().unwrap()),
                occurred_at: Timestamp::from_unix_micros(micros).unwrap(),
            });
            let (event_type, data) = event.encode();
            prop_assert_eq!(BookEvent::decode(event_type, &data, b""), Ok(event));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(data: Vec<u8>, metadata: Vec<u8>) {
            let _ = BookEvent::decode("Warehoused", &data, &metadata);
        }
    }
}
