//! A row of the table `events`, verified.

use super::event::{Fields, Position, RecordedEvent, Revision};
use super::reader::ReadError;
use bytes::Bytes;
use rusqlite::Row;
use uuid::Uuid;

/// The columns of an event, in the order that [`fields`] expects them; `s` is the table `streams`.
pub(super) const COLUMNS: &str =
    "e.position, e.revision, s.name, e.type, e.id, e.created, e.is_json, e.checksum, e.data, e.metadata";

/// The fields of a row whose checksum holds. Nothing of any other row ever leaves this function.
pub(super) fn fields<'r>(row: &'r Row<'_>) -> Result<Fields<'r>, ReadError> {
    let position: Position = row.get(0)?;
    let revision: Revision = row.get(1)?;
    let corrupt = |stream: Option<&str>| ReadError::Corrupt {
        stream: stream.unwrap_or("(name not readable)").to_owned(),
        revision,
        position,
    };
    let Ok(stream) = row.get_ref(2)?.as_str() else { return Err(corrupt(None)) };
    let read = || -> Option<(Fields<'r>, u32)> {
        let fields = Fields {
            position,
            stream,
            revision,
            event_type: row.get_ref(3).ok()?.as_str().ok()?,
            id: row.get_ref(4).ok()?.as_blob().ok()?,
            created: row.get(5).ok()?,
            is_json: row.get(6).ok()?,
            data: row.get_ref(8).ok()?.as_blob().ok()?,
            metadata: row.get_ref(9).ok()?.as_blob().ok()?,
        };
        Some((fields, row.get(7).ok()?))
    };
    match read() {
        Some((fields, checksum)) if fields.checksum() == checksum => Ok(fields),
        Some(_) | None => Err(corrupt(Some(stream))),
    }
}

/// The event that the fields describe.
pub(super) fn recorded(fields: &Fields<'_>) -> RecordedEvent {
    RecordedEvent {
        position: fields.position,
        stream: Bytes::copy_from_slice(fields.stream.as_bytes()),
        revision: fields.revision,
        id: Uuid::from_slice(fields.id).unwrap_or_default(),
        created: fields.created,
        event_type: fields.event_type.to_owned(),
        is_json: fields.is_json,
        data: Bytes::copy_from_slice(fields.data),
        metadata: Bytes::copy_from_slice(fields.metadata),
    }
}
