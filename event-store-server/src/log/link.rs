//! Link events: an event that stands for another one, which a reader may ask to see in its place.

use super::event::{LINK_TYPE, RecordedEvent, Revision};
use super::read_stream;
use super::reader::ReadError;
use rusqlite::Connection;

/// Whether a reader wants to see what links stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    Keep,
    Resolve,
}

/// An event as it is read.
#[derive(Clone, Debug)]
pub(crate) enum Resolved {
    /// An event that was appended where it is read.
    Event(RecordedEvent),
    /// A link, and what it stands for, if that is still visible.
    Link { link: RecordedEvent, target: Option<RecordedEvent> },
}

impl Resolved {
    /// The event that stands where it was read.
    pub(crate) fn original(&self) -> &RecordedEvent {
        match self {
            Self::Event(event) | Self::Link { link: event, .. } => event,
        }
    }

    /// What it holds, in bytes.
    pub(super) fn size(&self) -> usize {
        let size = |event: &RecordedEvent| event.data.len() + event.metadata.len();
        match self {
            Self::Event(event) => size(event),
            Self::Link { link, target } => size(link) + target.as_ref().map_or(0, size),
        }
    }
}

/// How many there are, and what they hold, in bytes.
pub(super) fn fill(events: &[Resolved]) -> (usize, usize) {
    (events.len(), events.iter().map(Resolved::size).sum())
}

/// Looks up what `event` stands for, if it is a link and the reader wants that.
pub(super) fn resolve(conn: &Connection, event: RecordedEvent, links: Links) -> Result<Resolved, ReadError> {
    if links == Links::Keep || event.event_type != LINK_TYPE {
        return Ok(Resolved::Event(event));
    }
    let target = match target(&event.data) {
        Some((revision, stream)) => read_stream::visible_event(conn, stream, revision)?,
        None => None,
    };
    Ok(Resolved::Link { link: event, target })
}

/// `<revision>@<stream>`, where the stream's name may hold the sign itself.
fn target(data: &[u8]) -> Option<(Revision, &str)> {
    let (revision, stream) = std::str::from_utf8(data).ok()?.split_once('@')?;
    let revision = revision.parse().ok().filter(|revision| *revision >= 0)?;
    (!stream.is_empty()).then_some((revision, stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_a_revision_and_a_stream() {
        assert_eq!(target(b"7@book-1"), Some((7, "book-1")));
        assert_eq!(target(b"0@a@b"), Some((0, "a@b")));
        for data in [&b""[..], b"7", b"7@", b"@book-1", b"-1@book-1", b"x@book-1", b"7@\xff"] {
            assert_eq!(target(data), None, "{data:?}");
        }
    }
}
