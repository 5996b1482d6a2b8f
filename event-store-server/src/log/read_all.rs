//! A page of `$all`: every event, in the order of the log.

use super::check::is_scavenged;
use super::event::Position;
use super::filter::Filter;
use super::link::{self, Links, Resolved};
use super::reader::{Limit, ReadError};
use super::row::{self, COLUMNS};
use rusqlite::Connection;
use std::sync::LazyLock;

/// Where a page begins, and in which direction it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllFrom {
    /// Forwards, with the first event after this position.
    After(Position),
    /// Backwards, with the last event before this position.
    Before(Position),
}

/// A page of `$all`.
#[derive(Debug)]
pub(crate) struct AllPage {
    /// The events that matched.
    pub(crate) events: Vec<Resolved>,
    /// How many events were looked at.
    pub(crate) considered: usize,
    /// Where the next page begins: next to the last event looked at.
    pub(crate) next: AllFrom,
    /// Nothing was left in this direction.
    pub(crate) end: bool,
}

impl AllPage {
    /// How many events it has, and what they hold, in bytes.
    pub(crate) fn fill(&self) -> (usize, usize) {
        link::fill(&self.events)
    }
}

// The join is an outer one: an event whose stream's name is lost has to be reported, not left out.
static FORWARDS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM events e LEFT JOIN streams s ON s.id = e.stream
         WHERE e.position > ?1 ORDER BY e.position LIMIT ?2"
    )
});
static BACKWARDS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM events e LEFT JOIN streams s ON s.id = e.stream
         WHERE e.position < ?1 ORDER BY e.position DESC LIMIT ?2"
    )
});

/// Reads a page. Events that do not match the filter are verified too: a damaged name or type must not hide an event.
pub(super) fn page(
    conn: &Connection,
    from: AllFrom,
    filter: Option<&Filter>,
    limit: Limit,
    links: Links,
) -> Result<AllPage, ReadError> {
    let (sql, start) = match from {
        AllFrom::After(position) => (&FORWARDS, position),
        AllFrom::Before(position) => (&BACKWARDS, position),
    };
    let mut page = AllPage { events: Vec::new(), considered: 0, next: from, end: true };
    let mut bytes = 0;
    let mut statement = conn.prepare_cached(sql)?;
    // One row more than may be considered tells whether the page is the last one.
    let rows = limit.considered.saturating_add(1);
    let mut rows = statement.query((start, i64::try_from(rows).unwrap_or(i64::MAX)))?;
    while let Some(row) = rows.next()? {
        if page.considered >= limit.considered || page.events.len() >= limit.events || bytes >= limit.bytes {
            page.end = false;
            break;
        }
        let fields = row::fields(row)?;
        follows(conn, page.next, fields.position)?;
        page.considered += 1;
        page.next = match from {
            AllFrom::After(_) => AllFrom::After(fields.position),
            AllFrom::Before(_) => AllFrom::Before(fields.position),
        };
        if filter.is_none_or(|filter| filter.matches(fields.stream, fields.event_type)) {
            let event = link::resolve(conn, row::recorded(&fields), links)?;
            bytes += event.size();
            page.events.push(event);
        }
    }
    if page.end && matches!(from, AllFrom::Before(_)) {
        // There is nothing left, so the log has to begin here.
        follows(conn, page.next, 0)?;
    }
    Ok(page)
}

/// Whether there is no event between where the reader is and `position`: none may be skipped silently.
fn follows(conn: &Connection, reader: AllFrom, position: Position) -> Result<(), ReadError> {
    // A reader may come from beyond the end of the log; there is nothing to be missed.
    let (low, high) = match reader {
        AllFrom::After(before) => (before.saturating_add(1).max(1), position - 1),
        AllFrom::Before(after) if after == Position::MAX => return Ok(()),
        AllFrom::Before(after) => (position + 1, after - 1),
    };
    if low > high || is_scavenged(conn, low, high)? {
        return Ok(());
    }
    let committed: Option<Position> =
        conn.prepare_cached("SELECT max(position) FROM events")?.query_row((), |row| row.get(0))?;
    if matches!(reader, AllFrom::Before(_)) && committed.unwrap_or(0) < high {
        return Ok(());
    }
    Err(ReadError::MissingFromLog { first: low, last: high })
}
