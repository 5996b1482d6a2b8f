//! The one transaction that moves a generation on: checkpoint, proof of contiguity, every view.

use crate::database::{Connection, DatabaseError, within};
use crate::generation::Schema;
use crate::lease::{Checkpoint, Lease};
use crate::parked;
use crate::sift::{Gaps, Sifted, Trouble, sift};
use crate::value;
use crate::view::Happening;
use crate::write::Writers;
use deadpool_postgres::Transaction;
use domain::book::BookId;
use futures_util::future::{try_join3, try_join4};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// The channel on which each new position is made known, as text.
pub const POSITION: &str = "bookstock_position";

/// How long each step of a write may take before PostgreSQL counts as frozen.
const STEP: Duration = Duration::from_secs(2);

/// What each event adds to that: a tenth of the slowest machine's rate that anyone measured.
const PER_EVENT: Duration = Duration::from_millis(1);

/// Why a batch was not applied. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The lease is another owner's, or the checkpoint is not where this owner left it.
    #[error("another projector has taken over, so nothing was written")]
    Fenced,
    /// Events are missing, or come twice.
    #[error("{}{}", .0.first().map(ToString::to_string).unwrap_or_default(), and_more(.0))]
    Gaps(Vec<Gap>),
    /// PostgreSQL failed. If it did so while committing, the batch may be applied after all: take the lease again to
    /// learn the checkpoint.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A stream whose next event is not the one after its last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
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

fn and_more(gaps: &[Gap]) -> String {
    let more = gaps.len().saturating_sub(1);
    if more == 0 { String::new() } else { format!(", and {more} other streams have gaps") }
}

/// What has come, in the order of its positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The events that could be read.
    pub happenings: Vec<Happening>,
    /// Those that could not.
    pub unreadable: Vec<Trouble>,
}

impl Batch {
    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.happenings.len() + self.unreadable.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each event once, in the order of the positions, however they came.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        if !self.happenings.is_sorted_by(|one, next| one.position < next.position) {
            self.happenings.sort_by_key(|happening| happening.position);
            self.happenings.dedup_by_key(|happening| happening.position);
        }
        if !self.unreadable.is_sorted_by(|one, next| one.position < next.position) {
            self.unreadable.sort_by_key(|trouble| trouble.position);
            self.unreadable.dedup_by_key(|trouble| trouble.position);
        }
        self
    }
}

/// What a batch led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The new checkpoint.
    pub checkpoint: Checkpoint,
    /// How far the streams that went on have come: the revision of the last event that was applied.
    pub reached: BTreeMap<BookId, u64>,
    /// The streams that wait from now on.
    pub parked: Vec<Trouble>,
    /// The streams that an event in them asks to fold anew.
    pub retry: BTreeSet<BookId>,
}

/// Applies `batch`, in the order of its positions, to all views of the generation that `lease` is on, by the `writers` of its
/// owner, as one transaction. Events up to the checkpoint `from` are in already; a stream of which one is not, because it came
/// late, is parked, to be folded anew, and so is one that cannot go on: all others flow.
///
/// # Errors
/// [`ApplyError`]; a gap only if `gaps` says so.
pub async fn apply(
    connection: &mut Connection,
    lease: &Lease,
    from: Checkpoint,
    batch: &Batch,
    gaps: Gaps<'_>,
    writers: &mut Writers,
) -> Result<Applied, ApplyError> {
    let Batch { happenings, unreadable } = batch;
    if happenings.is_empty() && unreadable.is_empty() {
        return Ok(Applied {
            checkpoint: from,
            reached: BTreeMap::new(),
            parked: Vec::new(),
            retry: BTreeSet::new(),
        });
    }
    let books: BTreeSet<BookId> = happenings.iter().map(|happening| happening.book_id).collect();
    let books = books.into_iter().chain(unreadable.iter().map(|trouble| trouble.book_id));
    let old = happenings.partition_point(|happening| happening.position <= from.position);
    let (old_happenings, happenings) = happenings.split_at(old);
    let old = unreadable.partition_point(|trouble| trouble.position <= from.position);
    let (old_unreadable, unreadable) = unreadable.split_at(old);
    let lasts = (
        happenings.last().map(|last| (last.position, last.event_id)),
        unreadable.last().map(|last| (last.position, last.event_id)),
    );
    let new = lasts.0.max(lasts.1);
    let to = new.map_or(from, |(position, id)| Checkpoint { position, event_id: Some(id) });
    let schema = Schema::of(lease.generation);
    let books: Vec<i64> = books.map(|book| value::bigint(book.get())).collect();
    let step = step(batch.len());

    let transaction = within(step, async { Ok(connection.client.transaction().await?) }).await?;
    let (ours, revisions, waiting) = within(
        step,
        try_join3(
            advance(&transaction, lease, from, to),
            load_revisions(&transaction, &schema, &books),
            parked::among(&transaction, lease.generation, &books),
        ),
    )
    .await?;
    if !ours {
        return Err(ApplyError::Fenced);
    }
    let old = old_happenings.iter().map(|old| came_late(old, from)).chain(old_unreadable.iter().cloned());
    let sifted = sift(revisions, waiting, old, happenings, unreadable, gaps).map_err(ApplyError::Gaps)?;
    within(
        step,
        try_join4(
            writers.write(&transaction, &schema, &sifted.applied),
            save_revisions(&transaction, &schema, &sifted.revisions),
            parked::save(&transaction, lease.generation, &sifted),
            announce(&transaction, to),
        ),
    )
    .await?;
    within(step, async { Ok(transaction.commit().await?) }).await?;
    writers.committed();
    let Sifted { revisions: reached, parked, retry, .. } = sifted;
    Ok(Applied { checkpoint: to, reached, parked, retry })
}

/// Sets the checkpoint of a generation that nobody reads back to the beginning, as events of further books come to it
/// which are before those that it has.
///
/// # Errors
/// [`ApplyError`].
pub async fn rewind(connection: &mut Connection, lease: &Lease, from: Checkpoint) -> Result<(), ApplyError> {
    let transaction = within(STEP, async { Ok(connection.client.transaction().await?) }).await?;
    if !within(STEP, advance(&transaction, lease, from, Checkpoint::default())).await? {
        return Err(ApplyError::Fenced);
    }
    Ok(within(STEP, async { Ok(transaction.commit().await?) }).await?)
}

/// What is said of an event that turns out not to be in though the checkpoint is behind it.
fn came_late(happening: &Happening, checkpoint: Checkpoint) -> Trouble {
    let Happening { book_id, revision, position, event_id, .. } = *happening;
    let reason = format!(
        "event {revision} came late, after position {}; it is to be folded anew",
        checkpoint.position
    );
    Trouble { book_id, revision, position, event_id, reason }
}

/// How long a step of a write of so many events may take: two seconds tell a frozen server, and a large batch takes its
/// time on a slow one.
fn step(events: usize) -> Duration {
    STEP + PER_EVENT * u32::try_from(events).unwrap_or(u32::MAX)
}

/// Moves the checkpoint and renews the lease, if both are as this owner left them. It locks the row, so that nobody
/// takes the lease before this transaction ends.
///
/// The transaction does not wait for the disk. A crash of PostgreSQL can undo its last moments, but always rows and
/// checkpoint together, and then the events are folded in again: nothing is lost but time. Taking a lease does wait,
/// so that no epoch is ever given twice.
pub(crate) async fn advance(
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

/// The last revision of each stream of these books that had events before.
async fn load_revisions(
    transaction: &Transaction<'_>,
    schema: &Schema,
    books: &[i64],
) -> Result<HashMap<BookId, u64>, DatabaseError> {
    let sql = format!("SELECT book_id, revision FROM {} WHERE book_id = ANY($1)", schema.table("streams"));
    let statement = transaction.prepare_cached(&sql).await?;
    let rows = transaction.query(&statement, &[&books]).await?;
    rows.iter().map(|row| Ok((value::read_book_id(row, 0)?, value::read_u64(row, 1)?))).collect()
}

pub(crate) async fn save_revisions(
    transaction: &Transaction<'_>,
    schema: &Schema,
    revisions: &BTreeMap<BookId, u64>,
) -> Result<(), DatabaseError> {
    if revisions.is_empty() {
        return Ok(());
    }
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
pub(crate) async fn announce(transaction: &Transaction<'_>, to: Checkpoint) -> Result<(), DatabaseError> {
    let statement = transaction.prepare_cached("SELECT pg_notify($1, $2)").await?;
    transaction.execute(&statement, &[&POSITION, &to.position.to_string()]).await?;
    Ok(())
}
