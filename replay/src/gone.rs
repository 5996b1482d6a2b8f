//! Books of which the event store does not have every event any more: nothing says what their rows should be.

use crate::build::Build;
use crate::unfit;
use domain::book::BookId;
use event_store::{Direction, EventStore as _, Kurrent, ReadError, Start, StoredEvent};
use read_model::parity::Snapshot;
use read_model::parked::Parked;
use std::collections::BTreeSet;

/// What the event store has of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Every event, as far as the first one tells.
    Whole,
    /// Not its first event any more.
    NotWhole,
    /// No event, and no sign that there ever was one.
    Nothing,
}

/// Looks at a stream whose first events, up to any number, were read.
pub(crate) async fn kept(
    store: &Kurrent,
    book: BookId,
    first: Result<&[StoredEvent], ReadError>,
) -> Result<Kept, ReadError> {
    match first {
        Ok([first, ..]) if first.revision == 0 => Ok(Kept::Whole),
        Ok([_, ..]) | Err(ReadError::Deleted) => Ok(Kept::NotWhole),
        // A deletion that can be taken back, and a limit that removed everything, are in the stream's metadata.
        Ok([]) => {
            let metadata = unfit::metadata_of(&book.stream());
            let last = store.read_stream(&metadata, Start::End, Direction::Backwards, 1).await?;
            let hidden = last.first().and_then(unfit::what_is_hidden);
            Ok(if hidden.is_some() { Kept::NotWhole } else { Kept::Nothing })
        }
        Err(error) => Err(error),
    }
}

/// The books that go on in the generation that serves, and of which what was built has nothing, or stands still, because
/// the event store does not have all of their events any more.
pub(crate) async fn of(store: &Kurrent, snapshot: &Snapshot, build: &Build) -> anyhow::Result<Vec<BookId>> {
    let theirs: Vec<BookId> = snapshot.parked().await?.into_iter().map(|parked| parked.book_id).collect();
    let stand_still = build.parked().await?.into_iter().map(|parked| parked.book_id);
    let mut doubtful: BTreeSet<BookId> = stand_still.filter(|book| !theirs.contains(book)).collect();
    doubtful.extend(build.without(snapshot.generation).await?);
    let mut gone = Vec::new();
    for book in doubtful {
        if is_gone(store, book).await? {
            gone.push(book);
        }
    }
    Ok(gone)
}

/// Of streams that stand still in the generation that serves: those that can be folded as far as they were there, and the books
/// of the others.
pub(crate) async fn apart(
    store: &Kurrent,
    waiting: Vec<Parked>,
) -> Result<(Vec<Parked>, Vec<BookId>), ReadError> {
    let (mut whole, mut gone) = (Vec::new(), Vec::new());
    for parked in waiting {
        if is_gone(store, parked.book_id).await? {
            gone.push(parked.book_id);
        } else {
            whole.push(parked);
        }
    }
    Ok((whole, gone))
}

/// Whether the stream of this book does not tell all of its events any more.
async fn is_gone(store: &Kurrent, book: BookId) -> Result<bool, ReadError> {
    let first = store.read_stream(&book.stream(), Start::Beginning, Direction::Forwards, 1).await;
    Ok(kept(store, book, first.as_deref().map_err(Clone::clone)).await? == Kept::NotWhole)
}
