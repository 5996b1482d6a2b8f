//! A transaction of the writer under way: what it knows beyond the committed state, to be kept or dropped as one.

use super::decide::{Past, Place};
use super::event::{Fields, METADATA_STREAM_PREFIX, Position, ProposedEvent, Revision, TOMBSTONE};
use super::read_stream;
use super::reader::ReadError;
use super::stream_metadata::StreamMetadata;
use super::two_generations::TwoGenerations;
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// A stream's row and its last event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) stream: i64,
    pub(super) last: Revision,
    /// Deleted, though not for ever.
    pub(super) deleted: bool,
}

/// What the writer remembers of the committed log, to decide without reading. Bounded; what is missing is looked up.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) heads: TwoGenerations<Arc<str>, Head>,
    /// The events appended last, by their stream and id: the weak rule's only knowledge.
    pub(super) recent: TwoGenerations<(i64, Uuid), Place>,
}

/// The state after the appends of the current transaction.
pub(super) struct Staged<'a> {
    conn: &'a Connection,
    memory: &'a mut Memory,
    heads: HashMap<Arc<str>, Head>,
    recent: HashMap<(i64, Uuid), Place>,
    last_position: Position,
    created: i64,
}

impl<'a> Staged<'a> {
    /// Begins after `last_position`; all events of the transaction are `created` at the same time.
    pub(super) fn new(
        conn: &'a Connection,
        memory: &'a mut Memory,
        last_position: Position,
        created: i64,
    ) -> Self {
        let (heads, recent) = (HashMap::new(), HashMap::new());
        Self { conn, memory, heads, recent, last_position, created }
    }

    pub(super) fn last_position(&self) -> Position {
        self.last_position
    }

    /// The head of a stream, if it has events and is known without a look into the log.
    pub(super) fn known(&mut self, stream: &str) -> Option<Head> {
        self.heads.get(stream).copied().or_else(|| self.memory.heads.get(stream))
    }

    /// The head of a stream, if it has events.
    pub(super) fn head(&mut self, stream: &str) -> Result<Option<Head>, ReadError> {
        if let Some(head) = self.known(stream) {
            return Ok(Some(head));
        }
        let Some((row, last)) = read_stream::head(self.conn, stream)? else { return Ok(None) };
        let deleted = last != TOMBSTONE && read_stream::metadata(self.conn, stream)?.is_deleted();
        let head = Head { stream: row, last, deleted };
        // It may come of what this transaction has written, so it is remembered with that.
        self.heads.insert(stream.into(), head);
        Ok(Some(head))
    }

    /// Whether a stream is deleted, though not for ever. One without events may be, by its metadata.
    pub(super) fn is_deleted(&self, stream: &str, head: Option<Head>) -> Result<bool, ReadError> {
        match head {
            Some(head) => Ok(head.deleted),
            None => Ok(read_stream::metadata(self.conn, stream)?.is_deleted()),
        }
    }

    /// The data of the last event of a stream's metadata, and whether there is one.
    pub(super) fn metadata(&self, stream: &str) -> Result<Option<Vec<u8>>, ReadError> {
        read_stream::metadata_json(self.conn, stream, |json| Some(json.to_vec()))
    }

    /// Writes `events` after `head`, which is no tombstone; gives the place of the last one. Nothing of the log is read for
    /// it, and after a failure, of whatever kind, a part of them may be written: that is the end of the transaction.
    pub(super) fn write(
        &mut self,
        name: &Arc<str>,
        head: Option<Head>,
        events: &[ProposedEvent],
    ) -> Result<Option<Place>, ReadError> {
        let last = head.map_or(-1, |head| head.last);
        self.write_behind(last, name, head, events).map_err(ReadError::Failed)
    }

    /// Ends a stream for ever: behind the last revision there is only that of the tombstone.
    pub(super) fn end(
        &mut self,
        name: &Arc<str>,
        head: Option<Head>,
        tombstone: ProposedEvent,
    ) -> Result<Option<Place>, ReadError> {
        let head = head.map(|head| Head { deleted: false, ..head });
        self.write_behind(TOMBSTONE - 1, name, head, &[tombstone]).map_err(ReadError::Failed)
    }

    fn write_behind(
        &mut self,
        mut last: Revision,
        name: &Arc<str>,
        head: Option<Head>,
        events: &[ProposedEvent],
    ) -> rusqlite::Result<Option<Place>> {
        let Some(last_event) = events.last() else { return Ok(None) };
        let (stream, deleted) = match head {
            Some(head) => (head.stream, head.deleted),
            None => (self.row_of(name)?, false),
        };
        let mut place = None;
        for event in events {
            last += 1;
            place = Some(self.insert(name, stream, last, event)?);
        }
        self.heads.insert(name.clone(), Head { stream, last, deleted });
        // What is written about the metadata of a metadata stream has no effect on that one: it is never deleted so. A head
        // that is not known yet will be read together with what was written here.
        if let Some(of) = name.strip_prefix(METADATA_STREAM_PREFIX)
            && !of.starts_with(METADATA_STREAM_PREFIX)
            && let Some(head) = self.known(of)
        {
            let deleted = StreamMetadata::parse(&last_event.data, last_event.is_json).is_deleted();
            self.heads.insert(of.into(), Head { deleted, ..head });
        }
        Ok(place)
    }

    fn insert(
        &mut self,
        name: &str,
        stream: i64,
        revision: Revision,
        event: &ProposedEvent,
    ) -> rusqlite::Result<Place> {
        self.last_position += 1;
        let fields = Fields {
            position: self.last_position,
            stream: name,
            revision,
            id: event.id.as_bytes(),
            created: self.created,
            event_type: &event.event_type,
            is_json: event.is_json,
            data: &event.data,
            metadata: &event.metadata,
        };
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO events
             (position, stream, revision, id, created, type, is_json, checksum, data, metadata)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        insert.execute((
            fields.position,
            stream,
            fields.revision,
            fields.id,
            fields.created,
            fields.event_type,
            fields.is_json,
            fields.checksum(),
            fields.data,
            fields.metadata,
        ))?;
        let place = Place { revision, position: fields.position };
        self.recent.insert((stream, event.id), place);
        Ok(place)
    }

    /// Makes the transaction's state the committed one: only after the commit.
    pub(super) fn keep(self) {
        for (name, head) in self.heads {
            self.memory.heads.insert(name, head);
        }
        // Those that are inserted last are remembered longest.
        let mut recent = self.recent.into_iter().collect::<Vec<_>>();
        recent.sort_unstable_by_key(|(_, place)| place.position);
        for (event, place) in recent {
            self.memory.recent.insert(event, place);
        }
    }

    /// The row of a stream that has no events; it may have had some, which are reclaimed.
    fn row_of(&self, name: &str) -> rusqlite::Result<i64> {
        let known = self
            .conn
            .prepare_cached("SELECT id FROM streams WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        match known {
            Some(row) => Ok(row),
            None => self.conn.prepare_cached("INSERT INTO streams (name) VALUES (?1)")?.insert([name]),
        }
    }
}

/// The past of one stream, as the current transaction sees it.
pub(super) struct StreamPast<'s, 'a> {
    pub(super) name: &'s str,
    pub(super) head: Option<Head>,
    pub(super) staged: &'s mut Staged<'a>,
}

impl Past for StreamPast<'_, '_> {
    type Error = ReadError;

    fn is_deleted(&mut self) -> Result<bool, ReadError> {
        self.staged.is_deleted(self.name, self.head)
    }

    fn has_metadata(&mut self) -> Result<bool, ReadError> {
        Ok(self.staged.head(&format!("{METADATA_STREAM_PREFIX}{}", self.name))?.is_some())
    }

    fn at(&mut self, revision: Revision) -> Result<Option<(Uuid, Position)>, ReadError> {
        let Some(head) = self.head else { return Ok(None) };
        Ok(self
            .staged
            .conn
            .prepare_cached("SELECT id, position FROM events WHERE stream = ?1 AND revision = ?2")?
            .query_row((head.stream, revision), |row| Ok((Uuid::from_bytes(row.get(0)?), row.get(1)?)))
            .optional()?)
    }

    fn recent(&mut self, id: Uuid) -> Option<Place> {
        let event = (self.head?.stream, id);
        self.staged.recent.get(&event).copied().or_else(|| self.staged.memory.recent.peek(&event))
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::{Change, Changed, place};
    use super::super::schema;
    use super::*;

    /// A log whose writer remembers eight events at least.
    struct Log {
        conn: Connection,
        memory: Memory,
        last: Position,
        _dir: tempfile::TempDir,
    }

    impl Log {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let conn = schema::open_writer(&dir.path().join("events.sqlite"), None).unwrap();
            let memory = Memory {
                heads: TwoGenerations::new(1 << 10, |name| name.len()),
                recent: TwoGenerations::new(8, |_| 1),
            };
            Self { conn, memory, last: 0, _dir: dir }
        }

        /// Appends events as one transaction. Each has the id of the position that it gets when it is new.
        fn append(&mut self, ids: impl IntoIterator<Item = Position>) -> Position {
            let ids = ids.into_iter().map(|id| id.unsigned_abs().into());
            let change = Change::append("a", ids);
            let mut staged = Staged::new(&self.conn, &mut self.memory, self.last, 0);
            let changed = place(&change, &mut staged).unwrap();
            self.last = staged.last_position();
            staged.keep();
            match changed {
                Changed::Durable { position: Some(position), .. } => position,
                other => panic!("nothing was appended: {other:?}"),
            }
        }
    }

    #[test]
    fn repeats_of_old_events_push_out_no_newer_ones() {
        let mut log = Log::new();
        for id in 1..=9 {
            assert_eq!(log.append([id]), id);
        }
        for id in 1..=7 {
            assert_eq!(log.append([id]), id, "it is still remembered");
        }
        log.append([10]);
        for id in 3..=10 {
            assert_eq!(log.append([id]), id, "one of the last eight is written again");
        }
    }

    #[test]
    fn of_one_large_append_the_last_events_are_remembered() {
        let mut log = Log::new();
        log.append(1..=100);
        for id in 93..=100 {
            assert_eq!(log.append([id]), id, "one of the last eight is written again");
        }
    }
}
