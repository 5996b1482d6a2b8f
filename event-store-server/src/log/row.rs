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
    let Ok(revision): Result<Revision, _> = row.get(1) else {
        return Err(ReadError::NotReadable { position });
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::types::Value;
    use rusqlite::{Connection, params_from_iter};

    #[test]
    fn a_row_with_any_column_of_another_kind_is_damaged_and_named() {
        let event = Fields {
            position: 7,
            stream: "a",
            revision: 3,
            id: &[1; 16],
            created: 17,
            event_type: "Happened",
            is_json: false,
            data: b"data",
            metadata: b"metadata",
        };
        let intact = [
            Value::Integer(event.position),
            Value::Integer(event.revision),
            Value::Text(event.stream.to_owned()),
            Value::Text(event.event_type.to_owned()),
            Value::Blob(event.id.to_vec()),
            Value::Integer(event.created),
            Value::Integer(event.is_json.into()),
            Value::Integer(event.checksum().into()),
            Value::Blob(event.data.to_vec()),
            Value::Blob(event.metadata.to_vec()),
        ];
        let conn = Connection::open_in_memory().unwrap();
        let mut statement = conn.prepare("SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10").unwrap();
        let mut read = |values: &[Value]| {
            let mut rows = statement.query(params_from_iter(values)).unwrap();
            let row = rows.next().unwrap().unwrap();
            fields(row).map(|fields| recorded(&fields))
        };
        assert_eq!(read(&intact).unwrap(), recorded(&event));

        for column in 0..intact.len() {
            for garbage in [
                Value::Null,
                Value::Real(0.5),
                Value::Integer(-1),
                Value::Text("garbage".to_owned()),
                Value::Blob(vec![0xff; 3]),
            ] {
                let mut values = intact.clone();
                values[column] = garbage;
                let said = read(&values).unwrap_err().to_string();
                assert!(said.contains("damaged"), "{values:?}: {said}");
                assert!(column == 0 || said.contains("position 7 is damaged"), "{values:?}: {said}");
            }
        }
    }
}
