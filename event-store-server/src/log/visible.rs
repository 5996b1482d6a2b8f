//! What readers may see of a stream, by its metadata, and what scavenging leaves of it. Judged anew for each page.

use super::event::{METADATA_STREAM_PREFIX, Revision, TOMBSTONE};
use super::read_stream::{FORWARDS, head, metadata};
use super::reader::ReadError;
use super::row;
use super::stream_metadata::StreamMetadata;
use rusqlite::Connection;

/// What readers may see of a stream.
pub(super) enum Visible {
    /// Nothing: it has no events, or was deleted behind its last one.
    Missing { last: Option<Revision> },
    /// With the stream's row; a metadata stream is deleted with the stream that it is of.
    Tombstoned(Option<i64>),
    /// These events.
    Range(Range),
}

/// The events of a stream from one revision to another.
pub(super) struct Range {
    /// The stream's row.
    pub(super) id: i64,
    pub(super) first: Revision,
    pub(super) last: Revision,
    /// Events created before, in ticks, are too old.
    pub(super) oldest: Option<i64>,
}

/// What readers may see of `stream`.
pub(super) fn visible(conn: &Connection, stream: &str) -> Result<Visible, ReadError> {
    Ok(match by_revision(conn, stream)? {
        Visible::Range(range) => Visible::Range(range.without_old(conn)?),
        gone @ (Visible::Missing { .. } | Visible::Tombstoned(_)) => gone,
    })
}

/// What those may see of a stream that is deleted for ever who were there when it was: the tombstone, and before it what
/// the stream's metadata does not hide.
pub(super) fn through_tombstone(conn: &Connection, stream: &str, id: i64) -> Result<Range, ReadError> {
    let last: Option<Revision> = conn
        .prepare_cached("SELECT max(revision) FROM events WHERE stream = ?1 AND revision < ?2")?
        .query_row((id, TOMBSTONE), |row| row.get(0))?;
    let before = Range::new(id, metadata(conn, stream)?, last.unwrap_or(-1)).without_old(conn)?;
    Ok(Range { last: TOMBSTONE, ..before })
}

/// The first revision of a stream that scavenging leaves; nothing where the stream has no events.
pub(super) fn first_kept(conn: &Connection, stream: &str) -> Result<Option<Revision>, ReadError> {
    Ok(match by_revision(conn, stream)? {
        Visible::Range(range) => Some(range.first_young(conn)?.min(range.last)),
        // Of a deleted stream its last event stays; of one that is deleted for ever, that is the tombstone.
        Visible::Missing { last } => last,
        Visible::Tombstoned(_) => head(conn, stream)?.map(|(_, last)| last),
    })
}

/// The same as [`visible`] before the events that are too old are left out.
fn by_revision(conn: &Connection, stream: &str) -> Result<Visible, ReadError> {
    if let Some(of) = stream.strip_prefix(METADATA_STREAM_PREFIX)
        && head(conn, of)?.is_some_and(|(_, last)| last == TOMBSTONE)
    {
        return Ok(Visible::Tombstoned(None));
    }
    let Some((id, last)) = head(conn, stream)? else { return Ok(Visible::Missing { last: None }) };
    if last == TOMBSTONE {
        return Ok(Visible::Tombstoned(Some(id)));
    }
    let metadata = metadata(conn, stream)?;
    if metadata.is_deleted() {
        return Ok(Visible::Missing { last: Some(last) });
    }
    Ok(Visible::Range(Range::new(id, metadata, last)))
}

impl Range {
    fn new(id: i64, metadata: StreamMetadata, last: Revision) -> Self {
        let oldest = metadata.oldest_visible(service_kit::clock::unix_micros().saturating_mul(10));
        Self { id, first: metadata.first_visible(last), last, oldest }
    }

    /// Without the events up to one that is too old, found by halves: so they cost next to nothing, however many there are.
    /// Each event that decides is verified: a damaged time must not hide what is not old.
    fn without_old(mut self, conn: &Connection) -> Result<Self, ReadError> {
        let Some(oldest) = self.oldest else { return Ok(self) };
        let mut statement = conn.prepare_cached(&FORWARDS)?;
        let mut end = self.last + 1;
        while self.first < end {
            let middle = self.first + (end - self.first) / 2;
            let mut rows = statement.query((self.id, middle, self.last, 1))?;
            let fields = match rows.next()? {
                Some(row) => Some(row::fields(row)?),
                None => None,
            };
            match fields {
                Some(fields) if fields.created < oldest => self.first = fields.revision + 1,
                Some(_) | None => end = middle,
            }
        }
        Ok(self)
    }

    /// The first revision that is not too old, or the one behind the last. Each event before it is looked at and verified, as
    /// it is to be removed: earlier versions let times run backwards with the clock, and then halves do not find it.
    fn first_young(&self, conn: &Connection) -> Result<Revision, ReadError> {
        let Some(oldest) = self.oldest else { return Ok(self.first) };
        let mut statement = conn.prepare_cached(&FORWARDS)?;
        let mut rows = statement.query((self.id, self.first, self.last, i64::MAX))?;
        while let Some(row) = rows.next()? {
            let fields = row::fields(row)?;
            if fields.created >= oldest {
                return Ok(fields.revision);
            }
        }
        Ok(self.last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::{Change, What, placed_at};
    use super::super::event::METADATA_EVENT_TYPE;
    use super::super::read_stream::{self, StreamFrom, StreamPage};
    use super::super::{DATABASE, Limit, Links, MaintenanceError, scavenge, schema};
    use super::*;
    use std::path::Path;

    const HOUR: i64 = 3_600;

    /// A log with events in stream "a" that are so many seconds old, of which those of an hour and more are hidden.
    fn aged(ages: &[i64], also: Option<What>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let now = service_kit::clock::unix_micros() * 10;
        let of_a = |what| Change { what, ..Change::append("a", []) };
        let hours = Change::append_typed("$$a", METADATA_EVENT_TYPE, r#"{"$maxAge":3600}"#);
        let events =
            ages.iter().zip(1..).map(|(age, id)| (now - age * 10_000_000, Change::append("a", [id])));
        let changes = [(now, hours)].into_iter().chain(events).chain(also.map(|what| (now, of_a(what))));
        placed_at(&dir.path().join(DATABASE), changes);
        dir
    }

    fn read(dir: &Path, from: StreamFrom) -> Result<Vec<Revision>, ReadError> {
        let conn = schema::open_reader(&dir.join(DATABASE)).unwrap();
        let limit = Limit { events: 100, considered: 100, bytes: 1 << 20 };
        Ok(match read_stream::page(&conn, "a", from, limit, Links::Keep)? {
            StreamPage::Found { events, .. } => {
                events.iter().map(|event| event.original().revision).collect()
            }
            StreamPage::Missing { .. } | StreamPage::Tombstoned => Vec::new(),
        })
    }

    #[test]
    fn a_damaged_time_is_told_by_reads_and_nothing_is_scavenged_by_it() {
        for damaged in [0, 5] {
            let dir = aged(&[0; 10], None);
            let conn = Connection::open(dir.path().join(DATABASE)).unwrap();
            let sql = "UPDATE events SET created = 1 WHERE revision = ?1 AND type = 'Happened'";
            assert_eq!(conn.execute(sql, [damaged]).unwrap(), 1);
            drop(conn);
            for from in [StreamFrom::Forwards(0), StreamFrom::Backwards(9)] {
                let read = read(dir.path(), from);
                assert!(
                    matches!(read, Err(ReadError::Corrupt { revision, .. }) if revision == damaged),
                    "{damaged} {from:?}: {read:?}"
                );
            }
            match scavenge(dir.path()) {
                Err(MaintenanceError::Damaged { what, .. }) => assert!(what.contains("checksum"), "{what}"),
                scavenged => assert_eq!(scavenged.unwrap().reclaimed, 0, "{damaged}"),
            }
        }
    }

    #[test]
    fn scavenging_stops_at_the_first_event_that_is_not_too_old_though_later_ones_are() {
        let cases: &[(&[i64], u64)] = &[
            (&[600, 600, 600, 2 * HOUR, 2 * HOUR, 2 * HOUR], 0),
            (&[3 * HOUR, 600, 2 * HOUR, 2 * HOUR, 600], 1),
            (&[3 * HOUR, 2 * HOUR, 600, 600], 2),
            (&[4 * HOUR, 3 * HOUR, 2 * HOUR], 2),
        ];
        for (ages, reclaimed) in cases {
            let dir = aged(ages, None);
            assert_eq!(scavenge(dir.path()).unwrap().reclaimed, *reclaimed, "{ages:?}");
        }
    }

    #[test]
    fn before_a_tombstone_comes_what_is_young_enough() {
        let tombstone = || Some(What::Tombstone);
        let dir = aged(&[3 * HOUR, 2 * HOUR, 600], tombstone());
        assert_eq!(read(dir.path(), StreamFrom::ThroughTombstone(0)).unwrap(), [2, TOMBSTONE]);
        let dir = aged(&[3 * HOUR, 2 * HOUR], tombstone());
        assert_eq!(read(dir.path(), StreamFrom::ThroughTombstone(0)).unwrap(), [TOMBSTONE]);
    }
}
