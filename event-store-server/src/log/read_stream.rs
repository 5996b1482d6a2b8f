//! A page of one stream.

use super::event::{METADATA_STREAM_PREFIX, RecordedEvent, Revision, TOMBSTONE};
use super::link::{self, Links, Resolved};
use super::reader::{Limit, ReadError};
use super::row::{self, COLUMNS};
use super::stream_metadata::StreamMetadata;
use super::visible::{self, Range, Visible};
use rusqlite::{Connection, OptionalExtension as _};
use std::sync::LazyLock;

/// Where a page begins, and in which direction it goes. Both are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamFrom {
    /// Forwards from this revision.
    Forwards(Revision),
    /// Backwards from this revision; from the last one, where the stream is shorter.
    Backwards(Revision),
    /// Forwards from this revision, up to the tombstone if there is one, for those who were there when it came.
    ThroughTombstone(Revision),
}

/// A page of a stream.
#[derive(Debug)]
pub(crate) enum StreamPage {
    /// Nothing was ever appended to the stream, or it was deleted since.
    Missing {
        /// The last revision before it was deleted.
        last: Option<Revision>,
    },
    /// The stream is deleted for ever.
    Tombstoned,
    /// The events, and what is known of the stream.
    Found {
        /// The visible events.
        events: Vec<Resolved>,
        /// Where the next page begins.
        next: StreamFrom,
        /// Nothing was left in this direction.
        end: bool,
        /// The first revision that may be seen; beyond the last one where all are hidden.
        first: Revision,
        /// The stream's last revision.
        last: Revision,
    },
}

impl StreamPage {
    /// How many events it has, and what they hold, in bytes.
    pub(crate) fn fill(&self) -> (usize, usize) {
        match self {
            Self::Missing { .. } | Self::Tombstoned => (0, 0),
            Self::Found { events, .. } => link::fill(events),
        }
    }
}

/// A stream's row, the first revision, the last one, and how many rows at most.
pub(super) static FORWARDS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM events e LEFT JOIN streams s ON s.id = e.stream
         WHERE e.stream = ?1 AND e.revision BETWEEN ?2 AND ?3 ORDER BY e.revision LIMIT ?4"
    )
});
static BACKWARDS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM events e LEFT JOIN streams s ON s.id = e.stream
         WHERE e.stream = ?1 AND e.revision BETWEEN ?2 AND ?3 ORDER BY e.revision DESC LIMIT ?4"
    )
});

/// Reads a page. What the stream's metadata hides is judged anew for each page.
pub(super) fn page(
    conn: &Connection,
    stream: &str,
    from: StreamFrom,
    limit: Limit,
    links: Links,
) -> Result<StreamPage, ReadError> {
    let range = match (visible::visible(conn, stream)?, from) {
        (Visible::Missing { last }, _) => return Ok(StreamPage::Missing { last }),
        (Visible::Tombstoned(Some(id)), StreamFrom::ThroughTombstone(_)) => {
            visible::through_tombstone(conn, stream, id)?
        }
        (Visible::Tombstoned(_), _) => return Ok(StreamPage::Tombstoned),
        (Visible::Range(range), _) => range,
    };
    let Range { id, first, last, oldest } = range;
    let (sql, low, high) = match from {
        StreamFrom::Forwards(revision) | StreamFrom::ThroughTombstone(revision) => {
            (&FORWARDS, revision.max(first), last)
        }
        StreamFrom::Backwards(revision) => (&BACKWARDS, first, revision.min(last)),
    };
    let (mut events, mut bytes, mut considered, mut next, mut end) = (Vec::new(), 0, 0, from, true);
    let mut before = None;
    let mut statement = conn.prepare_cached(sql)?;
    let rows = i64::try_from(limit.events.saturating_add(1)).unwrap_or(i64::MAX);
    let mut rows = statement.query((id, low, high, rows))?;
    while let Some(row) = rows.next()? {
        if considered >= limit.events || bytes >= limit.bytes {
            end = false;
            break;
        }
        let fields = row::fields(row)?;
        considered += 1;
        next = match from {
            StreamFrom::Forwards(_) => StreamFrom::Forwards(fields.revision.saturating_add(1)),
            StreamFrom::Backwards(_) => StreamFrom::Backwards(fields.revision - 1),
            StreamFrom::ThroughTombstone(_) => {
                StreamFrom::ThroughTombstone(fields.revision.saturating_add(1))
            }
        };
        // An event that is not found by its stream any more must not be skipped silently.
        let follows = match (before, from) {
            _ if fields.revision == TOMBSTONE => true,
            (Some(before), _) => fields.revision.abs_diff(before) == 1,
            (None, StreamFrom::Backwards(_)) => fields.revision == high,
            (None, StreamFrom::Forwards(_) | StreamFrom::ThroughTombstone(_)) => {
                fields.revision == low || begins_at(conn, id, fields.revision)?
            }
        };
        if !follows {
            return Err(ReadError::Missing { stream: stream.to_owned(), revision: fields.revision });
        }
        before = Some(fields.revision);
        if fields.revision != TOMBSTONE && oldest.is_some_and(|oldest| fields.created < oldest) {
            continue;
        }
        let event = link::resolve(conn, row::recorded(&fields), links)?;
        bytes += event.size();
        events.push(event);
    }
    if end && matches!(from, StreamFrom::Backwards(_)) {
        // Nothing is left, so the stream has to begin here.
        let revision = before.unwrap_or(high + 1);
        if revision > first && !begins_at(conn, id, revision)? {
            return Err(ReadError::Missing { stream: stream.to_owned(), revision });
        }
    }
    Ok(StreamPage::Found { events, next, end, first, last })
}

/// Whether the stream begins at `revision`, though that is not where its visible events would: the events before may have
/// been scavenged, where anything was, and none of them is left.
fn begins_at(conn: &Connection, id: i64, revision: Revision) -> Result<bool, ReadError> {
    let mut statement = conn.prepare_cached(
        "SELECT 1 FROM gaps WHERE NOT EXISTS (SELECT 1 FROM events WHERE stream = ?1 AND revision < ?2) LIMIT 1",
    )?;
    Ok(statement.exists((id, revision))?)
}

/// The event of a stream at `revision`, if readers may see it.
pub(super) fn visible_event(
    conn: &Connection,
    stream: &str,
    revision: Revision,
) -> Result<Option<RecordedEvent>, ReadError> {
    let Visible::Range(Range { id, first, last, oldest }) = visible::visible(conn, stream)? else {
        return Ok(None);
    };
    if revision < first || revision > last {
        return Ok(None);
    }
    match event(conn, id, revision, row::recorded)? {
        Some(event) => Ok(Some(event).filter(|event| oldest.is_none_or(|oldest| event.created >= oldest))),
        None if begins_at(conn, id, revision + 1)? => Ok(None),
        None => Err(ReadError::Missing { stream: stream.to_owned(), revision }),
    }
}

/// The row of a stream that has events, and its last revision.
pub(super) fn head(conn: &Connection, stream: &str) -> Result<Option<(i64, Revision)>, ReadError> {
    let mut statement = conn.prepare_cached(
        "SELECT stream, revision FROM events
         WHERE stream = (SELECT id FROM streams WHERE name = ?1) ORDER BY revision DESC LIMIT 1",
    )?;
    Ok(statement.query_row([stream], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// What holds for `stream`: the last event of its metadata stream.
pub(super) fn metadata(conn: &Connection, stream: &str) -> Result<StreamMetadata, ReadError> {
    if stream.starts_with(METADATA_STREAM_PREFIX) {
        return Ok(StreamMetadata::OF_METADATA_STREAM);
    }
    Ok(metadata_json(conn, stream, |data| Some(StreamMetadata::parse(data, true)))?.unwrap_or_default())
}

/// The data of the last event in the metadata stream of `stream`, if that is JSON.
pub(super) fn metadata_json<T>(
    conn: &Connection,
    stream: &str,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, ReadError> {
    let Some((id, last)) = head(conn, &format!("{METADATA_STREAM_PREFIX}{stream}"))? else { return Ok(None) };
    let found = event(conn, id, last, |fields| fields.is_json.then(|| read(fields.data)).flatten())?;
    Ok(found.flatten())
}

fn event<T>(
    conn: &Connection,
    id: i64,
    revision: Revision,
    take: impl FnOnce(&super::event::Fields<'_>) -> T,
) -> Result<Option<T>, ReadError> {
    let mut statement = conn.prepare_cached(&BACKWARDS)?;
    let mut rows = statement.query((id, revision, revision, 1))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(take(&row::fields(row)?)))
}
