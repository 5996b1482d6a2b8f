//! `Streams.Read` that ends: a number of events of a stream or of `$all`, in either direction.

use super::proposal::unsigned;
use super::read_options::{AllFilter, Direction, Form, Source, Starting};
use super::responses::{End, Pages, Responses, respond};
use super::{Streams, identifiers, recorded, status};
use crate::log::{AllFrom, AllPage, Limit, Log, Position, Revision, StreamFrom, StreamPage};
use crate::memory::Memory;
use crate::protocol::shared::StreamIdentifier;
use crate::protocol::streams::ReadResp;
use crate::protocol::streams::read_resp::{Content, StreamNotFound};
use std::sync::Arc;
use tonic::Response;

/// The largest page: what is held at a time for one client is a small multiple of it.
pub(super) const PAGE: Limit = Limit { events: 256, considered: 8192, bytes: 512 << 10 };

/// How many revisions the protocol's server looks at before it tells where a truncated stream begins.
const FIRST_LOOK: u64 = 32;

pub(super) fn read(
    streams: &Streams,
    unread: Memory,
    source: Source,
    count: u64,
    form: Form,
) -> Response<Responses<ReadResp>> {
    let Streams { log, limits, shutdown, .. } = streams.clone();
    respond(shutdown, unread, move |pages| async move {
        match source {
            Source::Stream { identifier, from, direction } => {
                let stream = identifiers::stream_name(identifier, &limits)?;
                read_stream(&log, stream, from, direction, count, form, &pages).await
            }
            Source::All { from, direction, filter } => {
                read_all(&log, from, direction, filter, count, form, &pages).await
            }
        }
    })
}

async fn read_stream(
    log: &Log,
    stream: Arc<str>,
    from: Starting<Revision>,
    direction: Direction,
    count: u64,
    form: Form,
    pages: &Pages<ReadResp>,
) -> Result<(), End> {
    let mut from = match (direction, from) {
        (Direction::Forwards, Starting::Start) => StreamFrom::Forwards(0),
        (Direction::Forwards, Starting::At(revision)) => StreamFrom::Forwards(revision),
        (Direction::Forwards, Starting::End) => StreamFrom::Forwards(Revision::MAX),
        (Direction::Backwards, Starting::Start) => StreamFrom::Backwards(0),
        (Direction::Backwards, Starting::At(revision)) => StreamFrom::Backwards(revision),
        (Direction::Backwards, Starting::End) => StreamFrom::Backwards(Revision::MAX),
    };
    let (mut left, mut first_page) = (count, true);
    loop {
        let limit = up_to(left);
        let read = || log.read_stream(stream.clone(), from, limit, form.links);
        let (page, place) = pages.read(read, StreamPage::fill).await?;
        let (events, next, end, first, last) = match page {
            StreamPage::Found { events, next, end, first, last } => (events, next, end, first, last),
            StreamPage::Missing { .. } => {
                let stream_name = stream.as_bytes().to_vec().into();
                let stream_identifier = Some(StreamIdentifier { stream_name });
                let missing = Content::StreamNotFound(StreamNotFound { stream_identifier });
                place.put(vec![recorded::response(missing)]);
                return Ok(());
            }
            StreamPage::Tombstoned => return Err(status::stream_deleted(&stream).into()),
        };
        let mut page = Vec::with_capacity(events.len() + 2);
        if let (true, true, StreamFrom::Forwards(start)) = (first_page, form.stream_positions, from)
            && let Some(position) = first_stream_position(start, count, first, last)
        {
            page.push(recorded::response(Content::FirstStreamPosition(unsigned(position))));
        }
        first_page = false;
        left -= events.len() as u64;
        page.extend(events.into_iter().map(|event| recorded::event(event, form)));
        let done = end || left == 0;
        if done && form.stream_positions {
            page.push(recorded::response(Content::LastStreamPosition(unsigned(last))));
        }
        place.put(page);
        if done {
            return Ok(());
        }
        from = next;
    }
}

/// Where a client that reads from `start` should go on, if there was nothing at its start: the first visible event of
/// a truncated stream, or the revision after the last one.
fn first_stream_position(start: Revision, count: u64, first: Revision, last: Revision) -> Option<Revision> {
    let look = i64::try_from(count.clamp(1, FIRST_LOOK)).unwrap_or(1);
    if start.saturating_add(look - 1) < first {
        return Some(first);
    }
    let behind_end = last + 1;
    (start.max(first) > last && start != behind_end).then_some(behind_end)
}

async fn read_all(
    log: &Log,
    from: Starting<Position>,
    direction: Direction,
    filter: Option<AllFilter>,
    count: u64,
    form: Form,
    pages: &Pages<ReadResp>,
) -> Result<(), End> {
    // Forwards the start is inclusive, backwards it is not.
    let mut from = match (direction, from) {
        (Direction::Forwards, Starting::Start) => AllFrom::After(0),
        (Direction::Forwards, Starting::At(position)) => AllFrom::After(position - 1),
        (Direction::Forwards, Starting::End) => AllFrom::After(Position::MAX),
        (Direction::Backwards, Starting::Start) => AllFrom::Before(0),
        (Direction::Backwards, Starting::At(position)) => AllFrom::Before(position),
        (Direction::Backwards, Starting::End) => AllFrom::Before(Position::MAX),
    };
    let (filter, _room) = filter.map(|filter| (filter.filter, filter.room)).unzip();
    let mut left = count;
    loop {
        let read = || log.read_all(from, filter.clone(), up_to(left), form.links);
        let (page, place) = pages.read(read, AllPage::fill).await?;
        left -= page.events.len() as u64;
        place.put(page.events.into_iter().map(|event| recorded::event(event, form)).collect());
        if page.end || left == 0 {
            return Ok(());
        }
        from = page.next;
    }
}

fn up_to(left: u64) -> Limit {
    Limit { events: PAGE.events.min(usize::try_from(left).unwrap_or(usize::MAX)), ..PAGE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_position_is_told_only_when_nothing_is_where_the_reader_begins() {
        #[rustfmt::skip]
        let cases: &[(Revision, u64, Revision, Revision, Option<Revision>)] = &[
            // start, count, first visible, last -> told
            (0,   100, 0,   9, None),
            (0,   100, 5,   9, None),
            (0,     1, 5,   9, Some(5)),
            (0,   100, 50, 99, Some(50)),
            (40,  100, 50, 99, None),
            (10,  100, 0,   9, None),
            (11,  100, 0,   9, Some(10)),
            (0,   100, 90,  9, Some(90)),
            (100, 100, 90,  9, Some(10)),
            (Revision::MAX, 1, 0, 9, Some(10)),
        ];
        for (start, count, first, last, told) in cases {
            assert_eq!(
                first_stream_position(*start, *count, *first, *last),
                *told,
                "{start} {count} {first} {last}"
            );
        }
    }
}
