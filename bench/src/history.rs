//! A history of books: valid events, written several at a time, and heard again.

use crate::cpu::Server;
use crate::round::{Meter, Round};
use anyhow::{Context as _, bail, ensure};
use domain::book::{Book, BookId, STREAM_PREFIX, Warehouse};
use domain::metadata::SCHEMA_VERSION;
use domain::{Command as _, Decide as _, Evolve as _, Metadata, Persist as _, Timestamp};
use event_store::{ContentType, EventStore, Expected, Filter, Follow, Heard, NewEvent, Options, Position};
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::time::Duration;
use uuid::Uuid;

/// How many appends are under way at once.
const AT_ONCE: usize = 64;

/// The options of a client that writes a history: a disk that stalls for seconds meanwhile is no failure.
pub(crate) fn patient() -> Options {
    Options { call_timeout: Duration::from_secs(60), ..Options::default() }
}

/// Writes `events` events of each of the books 1 to `books`, one append a book, and answers the last position.
pub(crate) async fn write(store: &impl EventStore, books: u64, events: u32) -> anyhow::Result<Position> {
    futures_util::stream::iter((1..=books).map(|book| async move {
        let (stream, events) = warehousings(book, events)?;
        anyhow::Ok(store.append(&stream, Expected::NoStream, events).await?.position)
    }))
    .buffer_unordered(AT_ONCE)
    .try_fold(Position::default(), |last, position| async move { Ok(last.max(position)) })
    .await
}

/// Begins the history of a book, with one event.
pub(crate) async fn begin(store: &impl EventStore, book: u64) -> anyhow::Result<Position> {
    let (stream, events) = warehousings(book, 1)?;
    Ok(store.append(&stream, Expected::NoStream, events).await?.position)
}

/// Hears all events of the streams with this prefix, of all streams without one, and forgets them.
pub(crate) async fn hear(
    store: &impl EventStore,
    prefix: Option<&str>,
    servers: &[Server],
) -> anyhow::Result<Round> {
    let meter = Meter::start(servers)?;
    let filter = Filter { stream_prefixes: prefix.map(str::to_owned).into_iter().collect() };
    let mut heard = store.follow(Follow::FromBeginning, filter);
    let mut count = 0;
    loop {
        match heard.next().await.context("following ended by itself")? {
            Heard::Event(_) => count += 1,
            Heard::CaughtUp => return meter.stop(count, None),
            Heard::Interrupted(reason) => bail!("following was interrupted: {reason}"),
        }
    }
}

/// Hears the history of the books, which has so many events, and forgets it.
pub(crate) async fn hear_books(
    store: &impl EventStore,
    events: u64,
    servers: &[Server],
) -> anyhow::Result<Round> {
    let round = hear(store, Some(STREAM_PREFIX), servers).await?;
    ensure!(round.count == events, "{} of {events} events were heard", round.count);
    Ok(round)
}

/// The stream of a book and its first events, as the command side writes them.
fn warehousings(book: u64, events: u32) -> anyhow::Result<(String, Vec<NewEvent>)> {
    let command = Warehouse {
        book_id: BookId::try_from(book)?,
        qty: 1.try_into()?,
        version: None,
        name: None,
        default_name: None,
        at: Timestamp::from_unix_micros(service_kit::clock::unix_micros())?,
    };
    let stream = command.stream();
    let mut book = Book::default();
    let mut written = Vec::new();
    for index in 0..events {
        let command = Warehouse {
            // Some events name the book, most do not.
            name: (index == 0).then(|| format!("Book {}", command.book_id).parse()).transpose()?,
            ..command.clone()
        };
        for event in command.decide(&book)? {
            book = book.evolve(&event);
            let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{stream}/{index}").as_bytes());
            let metadata = Metadata {
                schema_version: SCHEMA_VERSION,
                after: book.after(),
                idempotency_key: id.to_string(),
                command_hash: "0".repeat(64),
                actor: None,
                more_in_append: 0,
                correlation_id: id.to_string(),
                causation_id: id.to_string(),
                traceparent: None,
            };
            let (event_type, data) = Book::encode(&event);
            written.push(NewEvent {
                id,
                event_type: event_type.to_owned(),
                content_type: ContentType::Json,
                data: data.into(),
                metadata: serde_json::to_vec(&metadata)?.into(),
            });
        }
    }
    Ok((stream, written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_folds_to_the_stock_that_its_metadata_tells() {
        let (stream, events) = warehousings(7, 3).unwrap();
        let folded = events.iter().fold(Book::default(), |book, event| {
            book.evolve(&Book::decode(&event.event_type, &event.data, &event.metadata).unwrap())
        });
        let last: Metadata<domain::book::After> = serde_json::from_slice(&events[2].metadata).unwrap();
        assert_eq!((stream.as_str(), events.len()), ("book-7", 3));
        assert_eq!((folded.after(), last.after.stock), (Some(last.after), 3));
    }
}
