//! One event on its way from one store to another: in memory, and as a line of a file.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::Timestamp;
use event_store::{ContentType, NewEvent, Position, StoredEvent};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use uuid::Uuid;

/// An event with its place in its stream. Its place in the whole store, and when it was stored, are each store's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) stream: String,
    pub(crate) revision: u64,
    pub(crate) event: NewEvent,
}

impl From<StoredEvent> for Record {
    fn from(stored: StoredEvent) -> Self {
        let StoredEvent { stream, revision, id, event_type, content_type, data, metadata, .. } = stored;
        Self { stream, revision, event: NewEvent { id, event_type, content_type, data, metadata } }
    }
}

impl Record {
    /// A digest of everything that is carried.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let Self { stream, revision, event } = self;
        let mut hash = Sha256::new();
        hash.update(revision.to_be_bytes());
        hash.update(event.id.as_bytes());
        hash.update([u8::from(event.content_type == ContentType::Json)]);
        for field in [stream.as_bytes(), event.event_type.as_bytes(), &event.data, &event.metadata] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().into()
    }

    /// The bytes that an append of it sends, about.
    pub(crate) fn size(&self) -> usize {
        self.event.data.len() + self.event.metadata.len() + self.event.event_type.len() + 64
    }
}

/// What holds bytes that are JSON in one line is that JSON itself; all else is base64.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    stream: Cow<'a, str>,
    revision: u64,
    id: Uuid,
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    content_type: Cow<'a, str>,
    /// For those who look through the file; another store has its own.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    position: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    data: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<String>,
}

const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

impl Record {
    /// Its line, without the end of the line.
    pub(crate) fn line(&self, position: Position, created_micros: i64) -> anyhow::Result<String> {
        let Self { stream, revision, event } = self;
        let (data, data_base64) = written(&event.data);
        let (metadata, metadata_base64) = written(&event.metadata);
        let content_type = if event.content_type == ContentType::Json { JSON } else { BINARY };
        Ok(serde_json::to_string(&Line {
            stream: stream.into(),
            revision: *revision,
            id: event.id,
            event_type: (&event.event_type).into(),
            content_type: content_type.into(),
            position: Some(position.to_string().into()),
            created: Timestamp::from_unix_micros(created_micros).ok(),
            data,
            data_base64,
            metadata,
            metadata_base64,
        })?)
    }

    /// The event that a line tells of.
    pub(crate) fn of_line(line: &str) -> anyhow::Result<Self> {
        let line: Line<'_> = serde_json::from_str(line)?;
        let content_type = match line.content_type.as_ref() {
            JSON => ContentType::Json,
            BINARY => ContentType::Binary,
            other => anyhow::bail!("the content type {other} is none that an event store knows"),
        };
        Ok(Self {
            stream: line.stream.into_owned(),
            revision: line.revision,
            event: NewEvent {
                id: line.id,
                event_type: line.event_type.into_owned(),
                content_type,
                data: read(line.data, line.data_base64).context("data")?,
                metadata: read(line.metadata, line.metadata_base64).context("metadata")?,
            },
        })
    }
}

fn written(bytes: &[u8]) -> (Option<&RawValue>, Option<String>) {
    if bytes.is_empty() {
        return (None, None);
    }
    let raw = serde_json::from_slice::<&RawValue>(bytes).ok();
    // White space around the value would be lost, an end of line within it would end the line, and null is nothing.
    let is_as_it_is = |raw: &&RawValue| {
        let text = raw.get();
        text.len() == bytes.len() && text != "null" && !text.contains(['\r', '\n'])
    };
    match raw.filter(is_as_it_is) {
        Some(raw) => (Some(raw), None),
        None => (None, Some(STANDARD.encode(bytes))),
    }
}

fn read(raw: Option<&RawValue>, base64: Option<String>) -> anyhow::Result<Bytes> {
    ensure!(raw.is_none() || base64.is_none(), "it is there twice");
    Ok(match (raw, base64) {
        (Some(raw), _) => Bytes::copy_from_slice(raw.get().as_bytes()),
        (None, Some(base64)) => STANDARD.decode(base64)?.into(),
        (None, None) => Bytes::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &'static [u8], metadata: &'static [u8]) -> Record {
        Record {
            stream: "book-1 \"x\"".to_owned(),
            revision: 7,
            event: NewEvent {
                id: Uuid::from_u128(7),
                event_type: "재판".to_owned(),
                content_type: ContentType::Binary,
                data: Bytes::from_static(data),
                metadata: Bytes::from_static(metadata),
            },
        }
    }

    #[test]
    fn any_bytes_come_back_from_a_line() {
        let kinds: [&[u8]; 9] = [
            b"",
            b"{}",
            b"{ \"a\" : 1.50 , \"b\":1e400, \"a\":2 }",
            b" {}",
            b"{}\n",
            b"{\n}",
            b"\0\xff",
            b"null",
            "\"\\uD55C 한\u{2028}\"".as_bytes(),
        ];
        for data in kinds {
            for metadata in kinds {
                let record = record(data, metadata);
                let line = record.line(Position(5), 0).unwrap();
                assert_eq!(line.lines().count(), 1, "{line}");
                assert_eq!(Record::of_line(&line).unwrap(), record, "{line}");
            }
        }
    }

    #[test]
    fn a_digest_differs_with_every_field() {
        let one = record(b"{}", b"[]");
        let mut others = vec![record(b"{}", b"[] "), record(b"{}[", b"]"), record(b"", b"{}[]")];
        others.push(Record { stream: "book-1".to_owned(), ..one.clone() });
        others.push(Record { revision: 8, ..one.clone() });
        let event = || one.event.clone();
        others.push(Record { event: NewEvent { id: Uuid::from_u128(8), ..event() }, ..one.clone() });
        others.push(Record { event: NewEvent { event_type: "재".to_owned(), ..event() }, ..one.clone() });
        let json = NewEvent { content_type: ContentType::Json, ..event() };
        others.push(Record { event: json, ..one.clone() });
        for other in others {
            assert_ne!(other.digest(), one.digest(), "{other:?}");
        }
    }

    #[test]
    fn a_line_that_is_no_event_is_refused() {
        let line = record(b"{}", b"").line(Position(5), 0).unwrap();
        for (from, to) in
            [("\"type\"", "\"tipe\""), ("octet-stream", "xml"), ("\"data\":{}", "\"dataBase64\":\"?\"")]
        {
            assert!(Record::of_line(&line.replace(from, to)).is_err(), "{to}");
        }
        assert!(Record::of_line("{").is_err());
    }
}
