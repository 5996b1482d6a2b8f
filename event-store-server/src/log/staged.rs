//! A transaction of the writer under way: what it knows beyond the committed state, to be kept or dropped as one.

use super::decide::{Past, Place};
use super::event::{Fields, METADATA_STREAM_PREFIX, Position, ProposedEvent, Revision};
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
}

/// What the writer remembers of the committed log, to decide without reading. Bounded; what is missing is looked up.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) heads: TwoGenerations<Arc<str>, Head>,
    /// Ids of the events appended last, with their stream: the weak rule's only knowledge.
    pub(super) recent: TwoGenerations<Uuid, (i64, Place)>,
}

/// The state after the appends of the current transaction.
pub(super) struct Staged<'a> {
    conn: &'a Connection,
    memory: &'a mut Memory,
    heads: HashMap<Arc<str>, Head>,
    recent: HashMap<Uuid, (i64, Place)>,
    last_position: Position,
    created: i64,
    bytes: usize,
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
        Self { conn, memory, heads, recent, last_position, created, bytes: 0 }
    }

    pub(super) fn last_position(&self) -> Position {
        self.last_position
    }

    /// How much payload was written, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The head of a stream, if it has events.
    pub(super) fn head(&mut self, stream: &str) -> rusqlite::Result<Option<Head>> {
        if let Some(head) = self.heads.get(stream).copied().or_else(|| self.memory.heads.get(stream)) {
            return Ok(Some(head));
        }
        let head = self
            .conn
            .prepare_cached(
                "SELECT stream, revision FROM events
                 WHERE stream = (SELECT id FROM streams WHERE name = ?1) ORDER BY revision DESC LIMIT 1",
            )?
            .query_row([stream], |row| Ok(Head { stream: row.get(0)?, last: row.get(1)? }))
            .optional()?;
        if let Some(head) = head {
            self.memory.heads.insert(stream.into(), head);
        }
        Ok(head)
    }

    /// Writes `events` after `head`; gives the place of the last one.
    pub(super) fn write(
        &mut self,
        name: &Arc<str>,
        head: Option<Head>,
        events: &[ProposedEvent],
    ) -> rusqlite::Result<Option<Place>> {
        if events.is_empty() {
            return Ok(None);
        }
        let (stream, mut revision) = match head {
            Some(head) => (head.stream, head.last),
            None => (self.new_stream(name)?, -1),
        };
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO events
             (position, stream, revision, id, created, type, is_json, checksum, data, metadata)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        let mut place = None;
        for event in events {
            revision += 1;
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
            let written = Place { revision, position: fields.position };
            self.recent.insert(event.id, (stream, written));
            self.bytes += event.size();
            place = Some(written);
        }
        self.heads.insert(name.clone(), Head { stream, last: revision });
        Ok(place)
    }

    /// Makes the transaction's state the committed one: only after the commit.
    pub(super) fn keep(self) {
        for (name, head) in self.heads {
            self.memory.heads.insert(name, head);
        }
        for (id, place) in self.recent {
            self.memory.recent.insert(id, place);
        }
    }

    fn new_stream(&self, name: &str) -> rusqlite::Result<i64> {
        self.conn.prepare_cached("INSERT INTO streams (name) VALUES (?1)")?.insert([name])
    }
}

/// The past of one stream, as the current transaction sees it.
pub(super) struct StreamPast<'s, 'a> {
    pub(super) name: &'s str,
    pub(super) head: Option<Head>,
    pub(super) staged: &'s mut Staged<'a>,
}

impl Past for StreamPast<'_, '_> {
    type Error = rusqlite::Error;

    fn has_metadata(&mut self) -> rusqlite::Result<bool> {
        Ok(self.staged.head(&format!("{METADATA_STREAM_PREFIX}{}", self.name))?.is_some())
    }

    fn at(&mut self, revision: Revision) -> rusqlite::Result<Option<(Uuid, Position)>> {
        let Some(head) = self.head else { return Ok(None) };
        self.staged
            .conn
            .prepare_cached("SELECT id, position FROM events WHERE stream = ?1 AND revision = ?2")?
            .query_row((head.stream, revision), |row| Ok((Uuid::from_bytes(row.get(0)?), row.get(1)?)))
            .optional()
    }

    fn recent(&mut self, id: Uuid) -> Option<Place> {
        let head = self.head?;
        let (stream, place) =
            self.staged.recent.get(&id).copied().or_else(|| self.staged.memory.recent.get(&id))?;
        (stream == head.stream).then_some(place)
    }
}
