//! The one transaction that moves a generation on: checkpoint, proof of contiguity, every view.

use crate::database::{Connection, DatabaseError, within};
use crate::generation::Schema;
use crate::lease::{Checkpoint, Lease};
use crate::value;
use crate::view::{AnyView, Happening};
use deadpool_postgres::Transaction;
use domain::book::BookId;
use futures_util::future::{try_join, try_join_all, try_join3};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// The channel on which each new position is made known, as text.
pub const POSITION: &str = "bookstock_position";

/// How long each step of a write may take before PostgreSQL counts as frozen.
const STEP: Duration = Duration::from_secs(2);

/// Why a batch was not applied. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The lease is another owner's, or the checkpoint is not where this owner left it.
    #[error("another projector has taken over, so nothing was written")]
    Fenced,
    /// An event is missing, or comes twice.
    #[error(transparent)]
    Gap(#[from] Gap),
    /// PostgreSQL failed. If it did so while committing, the batch may be applied after all: take the lease again to
    /// learn the checkpoint.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A stream whose next event is not the one after its last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} goes on with revision {found} at position {position}, where revision {expected} was expected",
    book.stream()
)]
pub struct Gap {
    /// Whose stream.
    pub book: BookId,
    /// The revision after the last one applied.
    pub expected: u64,
    /// The revision that came.
    pub found: u64,
    /// Where it came.
    pub position: u64,
}

/// Applies `batch`, in the order of its positions, to all `views` of the generation that `lease` is on, as one
/// transaction, and answers the new checkpoint. Events up to the checkpoint `from` are left out: they are in already.
///
/// # Errors
/// [`ApplyError`].
pub async fn apply(
    connection: &mut Connection,
    lease: &Lease,
    from: Checkpoint,
    batch: &[Happening],
    views: &[&dyn AnyView],
) -> Result<Checkpoint, ApplyError> {
    let batch = &batch[batch.partition_point(|happening| happening.position <= from.position)..];
    let Some(last) = batch.last() else { return Ok(from) };
    let to = Checkpoint { position: last.position, event_id: Some(last.event_id) };
    let schema = Schema::of(lease.generation);

    let transaction = within(STEP, async { Ok(connection.client.transaction().await?) }).await?;
    let (ours, revisions) = within(
        STEP,
        try_join(advance(&transaction, lease, from, to), load_revisions(&transaction, &schema, batch)),
    )
    .await?;
    if !ours {
        return Err(ApplyError::Fenced);
    }
    let revisions = prove_contiguous(revisions, batch)?;
    within(
        STEP,
        try_join3(
            try_join_all(views.iter().map(|view| view.project(&transaction, &schema, batch))),
            save_revisions(&transaction, &schema, &revisions),
            announce(&transaction, to),
        ),
    )
    .await?;
    within(STEP, async { Ok(transaction.commit().await?) }).await?;
    Ok(to)
}

/// Moves the checkpoint and renews the lease, if both are as this owner left them. It locks the row, so that nobody
/// takes the lease before this transaction ends.
///
/// The transaction does not wait for the disk. A crash of PostgreSQL can undo its last moments, but always rows and
/// checkpoint together, and then the events are folded in again: nothing is lost but time. Taking a lease does wait,
/// so that no epoch is ever given twice.
async fn advance(
    transaction: &Transaction<'_>,
    lease: &Lease,
    from: Checkpoint,
    to: Checkpoint,
) -> Result<bool, DatabaseError> {
    let statement = transaction
        .prepare_cached(
            "UPDATE bookstock.projection
             SET position = $4, event_id = $5::text::uuid, lease_until = clock_timestamp() + $6::int8 * interval '1 ms'
             WHERE generation = $1 AND epoch = $2 AND position = $3
             RETURNING set_config('synchronous_commit', 'off', true)",
        )
        .await?;
    let event_id = to.event_id.map(|id| id.to_string());
    let updated = transaction
        .execute(
            &statement,
            &[
                &lease.generation,
                &lease.epoch,
                &value::bigint(from.position),
                &value::bigint(to.position),
                &event_id,
                &lease.term_ms,
            ],
        )
        .await?;
    Ok(updated == 1)
}

/// The last revision of each stream in `batch` that had events before it.
async fn load_revisions(
    transaction: &Transaction<'_>,
    schema: &Schema,
    batch: &[Happening],
) -> Result<HashMap<BookId, u64>, DatabaseError> {
    let books: HashSet<BookId> = batch.iter().map(|happening| happening.book_id).collect();
    let books: Vec<i64> = books.into_iter().map(|book| value::bigint(book.get())).collect();
    let sql = format!("SELECT book_id, revision FROM {} WHERE book_id = ANY($1)", schema.table("streams"));
    let statement = transaction.prepare_cached(&sql).await?;
    let rows = transaction.query(&statement, &[&books]).await?;
    rows.iter().map(|row| Ok((value::read_book_id(row, 0)?, value::read_u64(row, 1)?))).collect()
}

async fn save_revisions(
    transaction: &Transaction<'_>,
    schema: &Schema,
    revisions: &BTreeMap<BookId, u64>,
) -> Result<(), DatabaseError> {
    let books: Vec<i64> = revisions.keys().map(|book| value::bigint(book.get())).collect();
    let revisions: Vec<i64> = revisions.values().copied().map(value::bigint).collect();
    let sql = format!(
        "INSERT INTO {} (book_id, revision) SELECT * FROM unnest($1::int8[], $2::int8[])
         ON CONFLICT (book_id) DO UPDATE SET revision = excluded.revision",
        schema.table("streams")
    );
    let statement = transaction.prepare_cached(&sql).await?;
    transaction.execute(&statement, &[&books, &revisions]).await?;
    Ok(())
}

/// PostgreSQL delivers it when, and only if, the transaction commits.
async fn announce(transaction: &Transaction<'_>, to: Checkpoint) -> Result<(), DatabaseError> {
    let statement = transaction.prepare_cached("SELECT pg_notify($1, $2)").await?;
    transaction.execute(&statement, &[&POSITION, &to.position.to_string()]).await?;
    Ok(())
}

/// Proves that each stream goes on where it ended, event by event, and answers where it ends now.
fn prove_contiguous(
    mut last: HashMap<BookId, u64>,
    batch: &[Happening],
) -> Result<BTreeMap<BookId, u64>, Gap> {
    let mut now = BTreeMap::new();
    for happening in batch {
        let book = happening.book_id;
        let expected = last.get(&book).map_or(0, |revision| revision + 1);
        if happening.revision != expected {
            return Err(Gap { book, expected, found: happening.revision, position: happening.position });
        }
        last.insert(book, happening.revision);
        now.insert(book, happening.revision);
    }
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::book::{BookEvent, Renewed};
    use uuid::Uuid;

    fn book(number: u64) -> BookId {
        BookId::try_from(number).unwrap()
    }

    /// Happenings of the given books and revisions, at positions from 1 on.
    fn batch(events: &[(u64, u64)]) -> Vec<Happening> {
        let happening = |(position, &(number, revision)): (u64, &(u64, u64))| Happening {
            book_id: book(number),
            revision,
            position,
            event: BookEvent::Renewed(Renewed {
                book_id: book(number),
                version: "2.0".parse().unwrap(),
                stock: 100,
                occurred_at: Timestamp::default(),
            }),
            event_id: Uuid::from_u128(position.into()),
        };
        (1..).zip(events).map(happening).collect()
    }

    fn proven(last: &[(u64, u64)], events: &[(u64, u64)]) -> Result<Vec<(u64, u64)>, (u64, u64, u64)> {
        let last = last.iter().map(|(number, revision)| (book(*number), *revision)).collect();
        prove_contiguous(last, &batch(events))
            .map(|now| now.into_iter().map(|(book, revision)| (book.get(), revision)).collect())
            .map_err(|gap| (gap.book.get(), gap.expected, gap.found))
    }

    #[test]
    fn streams_that_go_on_by_one_are_contiguous() {
        assert_eq!(proven(&[(1, 6)], &[(1, 7), (2, 0), (1, 8), (2, 1)]), Ok(vec![(1, 8), (2, 1)]));
    }

    #[test]
    fn a_missing_event_is_a_gap() {
        assert_eq!(proven(&[(1, 6)], &[(2, 0), (1, 8)]), Err((1, 7, 8)));
        assert_eq!(proven(&[], &[(1, 0), (1, 2)]), Err((1, 1, 2)));
    }

    #[test]
    fn a_stream_that_does_not_begin_with_its_first_event_has_a_gap() {
        assert_eq!(proven(&[], &[(1, 1)]), Err((1, 0, 1)));
    }

    #[test]
    fn an_event_that_comes_twice_is_a_gap() {
        assert_eq!(proven(&[(1, 6)], &[(1, 6)]), Err((1, 7, 6)));
        assert_eq!(proven(&[(1, 6)], &[(1, 0)]), Err((1, 7, 0)));
    }

    #[test]
    fn a_gap_names_stream_revisions_and_position() {
        let gap = prove_contiguous(HashMap::new(), &batch(&[(5, 3)])).unwrap_err();
        assert_eq!(
            gap.to_string(),
            "book-5 goes on with revision 3 at position 1, where revision 0 was expected"
        );
    }
}
