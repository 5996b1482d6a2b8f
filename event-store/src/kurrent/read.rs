//! Reading: page by page, each with a deadline of its own, so that a long read needs no long deadline.

use super::connection::Connection;
use super::convert;
use super::failure::Failure;
use super::pauses::Pauses;
use crate::{Direction, Position, ReadError, Start, StoredEvent};
use eventstore::{ReadAllOptions, ReadStream, ReadStreamOptions, StreamPosition};
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// Events in one page.
const PAGE: usize = 4096;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Any stream will do to ask after: that it does not exist is an answer of the store, too.
const PING_STREAM: &str = "event-store-ping";

pub(super) async fn read_stream(
    connection: &Connection,
    timeout: Duration,
    stream: &str,
    from: Start<u64>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<StoredEvent>, ReadError> {
    // From an end towards that end there is one event only, which both ways find.
    let (mut at, direction, limit) = match (from, direction) {
        (Start::At(revision), _) => (StreamPosition::Position(revision), direction, limit),
        (Start::Beginning, Direction::Forwards) => (StreamPosition::Start, direction, limit),
        (Start::End, Direction::Backwards) => (StreamPosition::End, direction, limit),
        (Start::Beginning, Direction::Backwards) => {
            (StreamPosition::Start, Direction::Forwards, limit.min(1))
        }
        (Start::End, Direction::Forwards) => (StreamPosition::End, Direction::Backwards, limit.min(1)),
    };
    let mut events = Vec::new();
    while events.len() < limit {
        let count = PAGE.min(limit - events.len());
        let page = page_of_stream(connection, timeout, stream, at, direction, count).await?;
        let whole = page.len() == count;
        events.extend(page);
        let next = events.last().and_then(|last| match direction {
            Direction::Forwards => last.revision.checked_add(1),
            Direction::Backwards => last.revision.checked_sub(1),
        });
        match next {
            Some(revision) if whole => at = StreamPosition::Position(revision),
            _ => break,
        }
    }
    Ok(events)
}

pub(super) async fn read_all(
    connection: &Connection,
    timeout: Duration,
    from: Start<Position>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<StoredEvent>, ReadError> {
    let mut after = match (from, direction) {
        (Start::At(position), _) => Some(position),
        (Start::Beginning, Direction::Forwards) | (Start::End, Direction::Backwards) => None,
        // There is nothing before the beginning, nor after the end.
        (Start::Beginning, Direction::Backwards) | (Start::End, Direction::Forwards) => return Ok(Vec::new()),
    };
    let mut events = Vec::new();
    while events.len() < limit {
        // One more than is wanted, because forwards the store begins with the event *at* a position.
        let count = PAGE.min((limit - events.len()).saturating_add(1));
        let page = page_of_all(connection, timeout, after, direction, count).await.map_err(read_error)?;
        let whole = page.len() == count;
        let last = page.last().map(|event| event.position);
        let wanted =
            page.into_iter().filter(|event| Some(event.position) != after && !convert::is_system(event));
        events.extend(wanted.take(limit - events.len()));
        if !whole {
            break;
        }
        after = last;
    }
    Ok(events)
}

pub(super) async fn read_at(
    connection: &Connection,
    timeout: Duration,
    position: Position,
) -> Result<Option<StoredEvent>, ReadError> {
    match page_of_all(connection, timeout, Some(position), Direction::Forwards, 1).await {
        Ok(page) => Ok(page.into_iter().next().filter(|event| event.position == position)),
        // The position is the only thing that can be wrong in what was asked: another store's, for example.
        Err(Failure::Invalid(_)) => Ok(None),
        Err(failure) => Err(read_error(failure)),
    }
}

pub(super) async fn ping(connection: &Connection, timeout: Duration) -> Result<(), ReadError> {
    page_of_stream(connection, timeout, PING_STREAM, StreamPosition::End, Direction::Backwards, 1)
        .await
        .map(drop)
}

async fn page_of_stream(
    connection: &Connection,
    timeout: Duration,
    stream: &str,
    at: StreamPosition<u64>,
    direction: Direction,
    count: usize,
) -> Result<Vec<StoredEvent>, ReadError> {
    // The direction comes last, because setting a position at an end sets it, too.
    let options = ReadStreamOptions::default().position(at).max_count(count);
    let options = match direction {
        Direction::Forwards => options.forwards(),
        Direction::Backwards => options.backwards(),
    };
    let options = &options;
    let page = until_answered(connection, timeout, |deadline| {
        connection.call(deadline, move |link| async move {
            collect(link.client().read_stream(stream, options).await?, count).await
        })
    });
    match page.await {
        Err(Failure::NotFound) => Ok(Vec::new()),
        page => page.map_err(read_error),
    }
}

async fn page_of_all(
    connection: &Connection,
    timeout: Duration,
    at: Option<Position>,
    direction: Direction,
    count: usize,
) -> Result<Vec<StoredEvent>, Failure> {
    let at = match (at, direction) {
        (Some(position), _) => StreamPosition::Position(convert::position(position)),
        (None, Direction::Forwards) => StreamPosition::Start,
        (None, Direction::Backwards) => StreamPosition::End,
    };
    let options = ReadAllOptions::default().position(at).max_count(count);
    let options = match direction {
        Direction::Forwards => options.forwards(),
        Direction::Backwards => options.backwards(),
    };
    let options = &options;
    until_answered(connection, timeout, |deadline| {
        connection.call(deadline, move |link| async move {
            collect(link.client().read_all(options).await?, count).await
        })
    })
    .await
}

async fn collect(mut answers: ReadStream, count: usize) -> eventstore::Result<Vec<StoredEvent>> {
    let mut events = Vec::with_capacity(count.min(64));
    while let Some(event) = answers.next().await? {
        events.extend(convert::stored(event));
    }
    Ok(events)
}

/// Reads again after a failure that may pass, while there is time. A store that is not there is told at once.
async fn until_answered<A, F>(
    connection: &Connection,
    timeout: Duration,
    mut read: impl FnMut(Instant) -> F,
) -> Result<A, Failure>
where
    F: Future<Output = Result<A, Failure>>,
{
    let deadline = Instant::now() + timeout;
    let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let outcome = read(deadline).await;
        let may_pass = matches!(outcome, Err(Failure::Open(_) | Failure::Redirected { .. }));
        if !may_pass || !pauses.pause_before(deadline).await {
            return outcome;
        }
        (connection.trying_again)();
    }
}

fn read_error(failure: Failure) -> ReadError {
    let reason = failure.to_string();
    match failure {
        Failure::Refused(_) | Failure::Invalid(_) => ReadError::Refused(reason),
        Failure::Damaged(_) => ReadError::Lost(reason),
        Failure::Deleted => ReadError::Deleted,
        Failure::Unreached(_)
        | Failure::DeadClient(_)
        | Failure::Open(_)
        | Failure::Redirected { .. }
        | Failure::NotFound
        | Failure::Conflict { .. } => ReadError::Unavailable(reason),
    }
}
