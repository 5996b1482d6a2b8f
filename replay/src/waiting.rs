//! Streams that stand still in the generation that serves, or in what was built beside it, and not in the other.

use crate::build::Build;
use domain::book::BookId;
use event_store::{Direction, EventStore as _, Kurrent, Start};
use read_model::parity::Snapshot;
use read_model::parked::Parked;
use std::collections::HashMap;

/// The streams, of the books `only` if any are named, that stand still in the generation that serves, and go on in what
/// was built: whoever parked them did not understand an event, or is about to try them again.
pub(crate) async fn behind(
    snapshot: &Snapshot,
    build: &Build,
    only: Option<&[i64]>,
) -> anyhow::Result<Vec<Parked>> {
    let ours: HashMap<BookId, u64> =
        build.parked().await?.into_iter().map(|parked| (parked.book_id, parked.revision)).collect();
    let mut theirs = snapshot.parked().await?;
    theirs.retain(|parked| {
        only.is_none_or(|only| only.contains(&number(parked.book_id)))
            && ours.get(&parked.book_id).is_none_or(|revision| parked.revision < *revision)
    });
    Ok(theirs)
}

/// The books that go on in the generation that serves and stand still in what was built, because the event store does not
/// have all of their events any more.
pub(crate) async fn gone(store: &Kurrent, snapshot: &Snapshot, build: &Build) -> anyhow::Result<Vec<BookId>> {
    let theirs: Vec<BookId> = snapshot.parked().await?.into_iter().map(|parked| parked.book_id).collect();
    let mut gone = Vec::new();
    for Parked { book_id, .. } in build.parked().await? {
        if !theirs.contains(&book_id) && !is_whole(store, book_id).await? {
            gone.push(book_id);
        }
    }
    Ok(gone)
}

async fn is_whole(store: &Kurrent, book: BookId) -> anyhow::Result<bool> {
    let first = store.read_stream(&book.stream(), Start::Beginning, Direction::Forwards, 1).await?;
    Ok(first.first().is_some_and(|first| first.revision == 0))
}

/// The numbers of these books, as the tables have them.
pub(crate) fn numbers(books: &[BookId]) -> Vec<i64> {
    books.iter().copied().map(number).collect()
}

fn number(book: BookId) -> i64 {
    book.get().cast_signed()
}
