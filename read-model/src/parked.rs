//! Parked streams: each waits at an event that could not be applied, while all others go on.
//!
//! Only the place and the reason are kept. A retry reads the whole stream again and folds it anew.

use crate::database::{Connection, DatabaseError, within};
use crate::generation::FOLD_VERSION;
use crate::lease::Lease;
use crate::sift::Sifted;
use crate::value;
use deadpool_postgres::Transaction;
use domain::Timestamp;
use domain::book::BookId;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// How long a statement on the parked streams may take.
const LIMIT: Duration = Duration::from_secs(2);

/// A stream that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// In which generation of the views.
    pub generation: i32,
    /// Whose stream.
    pub book_id: BookId,
    /// The first event that is not applied.
    pub revision: u64,
    /// Its place in the store.
    pub position: u64,
    /// What is wrong with it.
    pub reason: String,
    /// How many events of the stream came after it.
    pub later: u64,
    /// Since when it waits.
    pub parked_at: Timestamp,
    /// Whether the active projector is to try again.
    pub retry: bool,
    /// Whether a projector of this version writes the generation. In one that is frozen, being built, or of other folds,
    /// nobody tries again.
    pub written: bool,
}

/// The generations that projectors write: the one that serves, and those of the fold version $1 that are kept beside it.
const WRITTEN: &str = "
    SELECT generation FROM bookstock.active
    UNION SELECT generation FROM bookstock.projection WHERE stage = 'kept' AND fold_version = $1";

/// All streams that wait, by generation and book.
///
/// # Errors
/// [`DatabaseError`].
pub async fn list(connection: &Connection) -> Result<Vec<Parked>, DatabaseError> {
    within(LIMIT, async {
        let sql = format!(
            "SELECT generation, book_id, revision, position, reason, later, parked_at, retry, generation IN ({WRITTEN})
             FROM bookstock.parked ORDER BY generation, book_id"
        );
        let rows = connection.client.query(&sql, &[&FOLD_VERSION]).await?;
        let parked = |row: &tokio_postgres::Row| {
            Ok(Parked {
                generation: value::read(row, 0)?,
                book_id: value::read_book_id(row, 1)?,
                revision: value::read_u64(row, 2)?,
                position: value::read_u64(row, 3)?,
                reason: value::read(row, 4)?,
                later: value::read_u64(row, 5)?,
                parked_at: value::read_moment(row, 6)?,
                retry: value::read(row, 7)?,
                written: value::read(row, 8)?,
            })
        };
        rows.iter().map(parked).collect()
    })
    .await
}

/// Asks the active projector to try the stream of `book` again, or of every book, in every generation that one writes;
/// within about a second it begins. Answers how many wait, each in each of these.
///
/// # Errors
/// [`DatabaseError`].
pub async fn ask_retry(connection: &Connection, book: Option<BookId>) -> Result<u64, DatabaseError> {
    within(LIMIT, async {
        let which = format!("($2::int8 IS NULL OR book_id = $2) AND generation IN ({WRITTEN})");
        let sql = update(&which, "retry = true", "");
        let book = book.map(|book| value::bigint(book.get()));
        Ok(connection.client.execute(&sql, &[&FOLD_VERSION, &book]).await?)
    })
    .await
}

/// Has all streams of a generation tried again: who writes it from now on may understand what stopped another.
///
/// # Errors
/// [`DatabaseError`].
pub async fn retry_all(connection: &Connection, lease: &Lease) -> Result<(), DatabaseError> {
    within(LIMIT, async {
        let which = "generation = $1 AND NOT retry
            AND EXISTS (SELECT FROM bookstock.projection WHERE generation = $1 AND epoch = $2)";
        let sql = update(which, "retry = true", "");
        connection.client.execute(&sql, &[&lease.generation, &lease.epoch]).await?;
        Ok(())
    })
    .await
}

/// The streams of a generation that are to be tried again.
///
/// # Errors
/// [`DatabaseError`].
pub async fn to_retry(connection: &Connection, generation: i32) -> Result<Vec<BookId>, DatabaseError> {
    within(LIMIT, async {
        let sql = "SELECT book_id FROM bookstock.parked WHERE generation = $1 AND retry ORDER BY book_id";
        let statement = connection.client.prepare_cached(sql).await?;
        let rows = connection.client.query(&statement, &[&generation]).await?;
        rows.iter().map(|row| Ok(value::read_book_id(row, 0)?)).collect()
    })
    .await
}

/// How many streams of a generation wait.
///
/// # Errors
/// [`DatabaseError`].
pub async fn count(connection: &Connection, generation: i32) -> Result<u64, DatabaseError> {
    within(LIMIT, async {
        let sql = "SELECT count(*) FROM bookstock.parked WHERE generation = $1";
        let statement = connection.client.prepare_cached(sql).await?;
        Ok(value::read_u64(&connection.client.query_one(&statement, &[&generation]).await?, 0)?)
    })
    .await
}

/// Lets a stream that was tried again wait on, for this reason.
///
/// # Errors
/// [`DatabaseError`].
pub async fn wait_on(
    connection: &Connection,
    lease: &Lease,
    book: BookId,
    reason: &str,
) -> Result<(), DatabaseError> {
    within(LIMIT, async {
        let sql = "
            UPDATE bookstock.parked SET retry = false, reason = $4
            WHERE generation = $1 AND book_id = $3
                AND EXISTS (SELECT FROM bookstock.projection WHERE generation = $1 AND epoch = $2)";
        let book = value::bigint(book.get());
        connection.client.execute(sql, &[&lease.generation, &lease.epoch, &book, &storable(reason)]).await?;
        Ok(())
    })
    .await
}

/// The books that wait at an event after `position`, and where that is.
pub(crate) async fn since(
    transaction: &Transaction<'_>,
    generation: i32,
    position: u64,
) -> Result<BTreeMap<BookId, u64>, DatabaseError> {
    let sql = "SELECT book_id, position FROM bookstock.parked WHERE generation = $1 AND position > $2";
    let statement = transaction.prepare_cached(sql).await?;
    let rows = transaction.query(&statement, &[&generation, &value::bigint(position)]).await?;
    rows.iter().map(|row| Ok((value::read_book_id(row, 0)?, value::read_u64(row, 1)?))).collect()
}

/// Which of these books wait.
pub(crate) async fn among(
    transaction: &Transaction<'_>,
    generation: i32,
    books: &[i64],
) -> Result<HashSet<BookId>, DatabaseError> {
    let sql = "SELECT book_id FROM bookstock.parked WHERE generation = $1 AND book_id = ANY($2)";
    let statement = transaction.prepare_cached(sql).await?;
    let rows = transaction.query(&statement, &[&generation, &books]).await?;
    rows.iter().map(|row| Ok(value::read_book_id(row, 0)?)).collect()
}

pub(crate) async fn save(
    transaction: &Transaction<'_>,
    generation: i32,
    sifted: &Sifted<'_>,
) -> Result<(), DatabaseError> {
    if !sifted.parked.is_empty() {
        let parked = &sifted.parked;
        let books: Vec<i64> = parked.iter().map(|trouble| value::bigint(trouble.book_id.get())).collect();
        let revisions: Vec<i64> = parked.iter().map(|trouble| value::bigint(trouble.revision)).collect();
        let positions: Vec<i64> = parked.iter().map(|trouble| value::bigint(trouble.position)).collect();
        let reasons: Vec<String> = parked.iter().map(|trouble| storable(&trouble.reason)).collect();
        // Each is tried again at once, and for as long as the event store is away: only then is it known that it waits.
        let sql = "INSERT INTO bookstock.parked (generation, book_id, revision, position, reason, retry)
                   SELECT $1::int4, *, true FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::text[])";
        let statement = transaction.prepare_cached(sql).await?;
        transaction.execute(&statement, &[&generation, &books, &revisions, &positions, &reasons]).await?;
    }
    if !sifted.later.is_empty() || !sifted.retry.is_empty() {
        let books: HashSet<BookId> = sifted.later.keys().chain(&sifted.retry).copied().collect();
        let books: Vec<BookId> = books.into_iter().collect();
        let ids: Vec<i64> = books.iter().map(|book| value::bigint(book.get())).collect();
        let later: Vec<i64> =
            books.iter().map(|book| sifted.later.get(book).copied().map_or(0, value::bigint)).collect();
        let retry: Vec<bool> = books.iter().map(|book| sifted.retry.contains(book)).collect();
        let sql = update(
            "generation = $1 AND book_id = ANY($2)",
            "later = p.later + fresh.later, retry = p.retry OR fresh.retry",
            "JOIN unnest($2::int8[], $3::int8[], $4::bool[]) AS fresh (book_id, later, retry) USING (book_id)",
        );
        let statement = transaction.prepare_cached(&sql).await?;
        transaction.execute(&statement, &[&generation, &ids, &later, &retry]).await?;
    }
    Ok(())
}

/// Locks all streams of a generation.
pub(crate) async fn lock(transaction: &Transaction<'_>, generation: i32) -> Result<(), DatabaseError> {
    transaction.execute(&in_order("generation = $1"), &[&generation]).await?;
    Ok(())
}

/// The statement that changes these streams.
fn update(which: &str, change: &str, with: &str) -> String {
    format!(
        "WITH these AS ({})
         UPDATE bookstock.parked AS p SET {change} FROM these {with}
         WHERE (p.generation, p.book_id) = (these.generation, these.book_id)",
        in_order(which)
    )
}

/// The query that locks these streams, one after the other: two that took them each in an order of its own would wait for
/// each other.
fn in_order(which: &str) -> String {
    format!(
        "SELECT generation, book_id FROM bookstock.parked WHERE {which} ORDER BY generation, book_id FOR UPDATE"
    )
}

/// The reason quotes what somebody wrote: PostgreSQL's text holds no NUL, and an operator reads no page of it.
fn storable(reason: &str) -> String {
    reason.chars().map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).take(1_000).collect()
}
