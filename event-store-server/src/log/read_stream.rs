//! A page of one stream.

use super::event::{METADATA_EVENT_TYPE, METADATA_STREAM_PREFIX, RecordedEvent, Revision};
use super::reader::{Limit, ReadError};
use super::row::{self, COLUMNS};
use super::stream_metadata::StreamMetadata;
use rusqlite::{Connection, OptionalExtension as _};
use std::sync::LazyLock;

/// Where a page begins, and in which direction it goes. Both are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamFrom {
    /// Forwards from this revision.
    Forwards(Revision),
    /// Backwards from this revision; from the last one, where the stream is shorter.
    Backwards(Revision),
}

/// A page of a stream.
#[derive(Debug)]
pub(crate) enum StreamPage {
    /// Nothing was ever appended to the stream.
    Missing,
    /// The events, and what is known of the stream.
    Found {
        /// The visible events.
        events: Vec<RecordedEvent>,
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

static FORWARDS: LazyLock<String> = LazyLock::new(|| {
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
) -> Result<StreamPage, ReadError> {
    let Some((id, last)) = head(conn, stream)? else { return Ok(StreamPage::Missing) };
    let first = metadata(conn, stream)?.first_visible(last);
    let (sql, low, high) = match from {
        StreamFrom::Forwards(revision) => (&FORWARDS, revision.max(first), last),
        StreamFrom::Backwards(revision) => (&BACKWARDS, first, revision.min(last)),
    };
    let (mut events, mut bytes, mut next, mut end) = (Vec::new(), 0, from, true);
    let mut statement = conn.prepare_cached(sql)?;
    let rows = i64::try_from(limit.events.saturating_add(1)).unwrap_or(i64::MAX);
    let mut rows = statement.query((id, low, high, rows))?;
    while let Some(row) = rows.next()? {
        if events.len() >= limit.events || bytes >= limit.bytes {
            end = false;
            break;
        }
        let fields = row::fields(row)?;
        next = match from {
            StreamFrom::Forwards(_) => StreamFrom::Forwards(fields.revision + 1),
            StreamFrom::Backwards(_) => StreamFrom::Backwards(fields.revision - 1),
        };
        bytes += fields.data.len() + fields.metadata.len();
        events.push(row::recorded(&fields));
    }
    Ok(StreamPage::Found { events, next, end, first, last })
}

/// The row of a stream that has events, and its last revision.
fn head(conn: &Connection, stream: &str) -> Result<Option<(i64, Revision)>, ReadError> {
    let mut statement = conn.prepare_cached(
        "SELECT stream, revision FROM events
         WHERE stream = (SELECT id FROM streams WHERE name = ?1) ORDER BY revision DESC LIMIT 1",
    )?;
    Ok(statement.query_row([stream], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// What holds for `stream`: the last event of its metadata stream.
fn metadata(conn: &Connection, stream: &str) -> Result<StreamMetadata, ReadError> {
    if stream.starts_with(METADATA_STREAM_PREFIX) {
        return Ok(StreamMetadata::OF_METADATA_STREAM);
    }
    let Some((id, last)) = head(conn, &format!("{METADATA_STREAM_PREFIX}{stream}"))? else {
        return Ok(StreamMetadata::default());
    };
    let mut statement = conn.prepare_cached(&BACKWARDS)?;
    let mut rows = statement.query((id, last, last, 1))?;
    let Some(row) = rows.next()? else { return Ok(StreamMetadata::default()) };
    let fields = row::fields(row)?;
    Ok(match fields.event_type {
        METADATA_EVENT_TYPE => StreamMetadata::parse(fields.data),
        _ => StreamMetadata::default(),
    })
}
