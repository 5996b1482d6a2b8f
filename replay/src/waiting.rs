//! Streams that stand still in the generation that serves, or in what was built beside it, and not in the other.

use crate::build::Build;
use domain::book::BookId;
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

/// The numbers of these books, as the tables have them.
pub(crate) fn numbers(books: &[BookId]) -> Vec<i64> {
    books.iter().copied().map(number).collect()
}

fn number(book: BookId) -> i64 {
    book.get().cast_signed()
}
