//! A stored event as the tool tells it, and a book's stream folded event by event.

use domain::book::{After, Book, BookEvent, BookId};
use domain::decider::DecodeError;
use domain::{Evolve as _, Persist as _, Timestamp};
use event_store::StoredEvent;
use read_model::Happening;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use uuid::Uuid;

/// What is known around an event, as far as it can be read; nothing here is needed to fold it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Around {
    pub(crate) schema_version: Option<u32>,
    /// As it is written, `null` included: a book may be none after an event.
    #[serde(deserialize_with = "written")]
    pub(crate) after: Option<Box<RawValue>>,
    pub(crate) actor: Option<String>,
    #[serde(rename = "$correlationId")]
    pub(crate) correlation_id: Option<String>,
}

fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Around {
    pub(crate) fn of(event: &StoredEvent) -> Self {
        serde_json::from_slice(&event.metadata).unwrap_or_default()
    }
}

/// Why an event is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    Shape(DecodeError),
    OtherBook(BookId),
}

impl std::fmt::Display for Unread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape(error) => error.fmt(out),
            Self::OtherBook(book) => write!(out, "it is about book {book}"),
        }
    }
}

/// The event with its place; `None` if it is none of a book: of another stream, or the store's own mark that the stream is
/// deleted for ever.
pub(crate) fn decode(event: &StoredEvent) -> Result<Option<Happening>, Unread> {
    let Some(book_id) = BookId::of_stream(&event.stream).filter(|_| !event.is_tombstone()) else {
        return Ok(None);
    };
    let (happened, provenance) =
        BookEvent::decode_with_provenance(&event.event_type, &event.data, &event.metadata)
            .map_err(Unread::Shape)?;
    if happened.book_id() != book_id {
        return Err(Unread::OtherBook(happened.book_id()));
    }
    Ok(Some(Happening {
        book_id,
        revision: event.revision,
        position: event.position.0,
        event: happened,
        event_id: event.id,
        provenance,
    }))
}

/// What a book is after `event`.
pub(crate) fn evolve(book: &mut Book, event: &BookEvent) -> Option<After> {
    *book = std::mem::take(book).evolve(event);
    book.after()
}

/// The revisions that events of this stream take out of it: a fold goes on as if nothing had happened there.
pub(crate) fn skipped(events: &[StoredEvent]) -> HashSet<u64> {
    let happenings = events.iter().filter_map(|event| decode(event).ok().flatten());
    happenings.filter_map(|happening| happening.event.skips(happening.revision)).collect()
}

/// A stored event as JSON.
#[derive(Serialize)]
pub(crate) struct Told<'a> {
    pub(crate) stream: &'a str,
    pub(crate) revision: u64,
    pub(crate) position: String,
    pub(crate) id: Uuid,
    #[serde(rename = "type")]
    pub(crate) event_type: &'a str,
    pub(crate) created: Option<Timestamp>,
    pub(crate) data: Json<'a>,
    pub(crate) metadata: Json<'a>,
}

/// JSON as it is stored, or the text of what is no JSON.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Json<'a> {
    Raw(&'a RawValue),
    Text(Cow<'a, str>),
    Nothing(()),
}

impl<'a> Json<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        if bytes.is_empty() {
            return Self::Nothing(());
        }
        match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(raw) => Self::Raw(raw),
            Err(_) => Self::Text(String::from_utf8_lossy(bytes)),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Raw(raw) => raw.get(),
            Self::Text(text) => text,
            Self::Nothing(()) => "",
        }
    }
}

impl<'a> Told<'a> {
    pub(crate) fn of(event: &'a StoredEvent) -> Self {
        Self {
            stream: &event.stream,
            revision: event.revision,
            position: event.position.to_string(),
            id: event.id,
            event_type: &event.event_type,
            created: Timestamp::from_unix_micros(event.created_micros).ok(),
            data: Json::of(&event.data),
            metadata: Json::of(&event.metadata),
        }
    }

    /// When it was stored, for people.
    pub(crate) fn created(&self) -> String {
        self.created.map(|created| created.to_string()).unwrap_or_default()
    }
}
