//! The indexes by which many rows are sorted: they come with size.
//!
//! An index on a column that every event changes makes PostgreSQL write to all indexes of the row at every event. While
//! the books are few, a list is sorted when somebody asks the database for it, which is seldom: most lists come from memory.

use crate::database::{Connection, DatabaseError, within};
use crate::generation::Schema;
use crate::lease::{Lease, LeaseError};
use crate::view::AnyView;
use std::time::Duration;

/// With more books than that the indexes are made. So many rows are sorted within some 30 ms.
pub const MANY: u32 = 50_000;

/// How long asking may take, and how long making the indexes of somewhat more rows.
const LIMIT: Duration = Duration::from_secs(2);
const MAKING: Duration = Duration::from_secs(60);

const MADE: &str = "UPDATE bookstock.projection SET sorted = true WHERE generation = $1 AND epoch = $2";

/// Whether the generation has more than `many` books, and not yet the indexes by which they are sorted.
///
/// # Errors
/// [`DatabaseError`].
pub async fn is_due(connection: &Connection, generation: i32, many: u32) -> Result<bool, DatabaseError> {
    let streams = Schema::of(generation).table("streams");
    let sql = format!(
        "SELECT (SELECT count(*) FROM (SELECT FROM {streams} LIMIT $2::int8 + 1) AS books) > $2
         FROM bookstock.projection WHERE generation = $1 AND NOT sorted"
    );
    within(LIMIT, async {
        let statement = connection.client.prepare_cached(&sql).await?;
        let due = connection.client.query_opt(&statement, &[&generation, &i64::from(many)]).await?;
        Ok(due.map_or(Ok(false), |row| row.try_get(0))?)
    })
    .await
}

/// Makes them, in one transaction. Readers go on meanwhile; the owner of the lease is whom it keeps from writing.
///
/// # Errors
/// [`LeaseError::Lost`] when another owner has the lease; then nothing was made.
pub async fn make(
    connection: &mut Connection,
    lease: &Lease,
    views: &[&dyn AnyView],
) -> Result<(), LeaseError> {
    let schema = Schema::of(lease.generation);
    let made = within(MAKING, async {
        let transaction = connection.client.transaction().await?;
        // It locks the row, so that nobody takes the lease before this ends, however long it takes.
        if transaction.execute(MADE, &[&lease.generation, &lease.epoch]).await? == 0 {
            return Ok(false);
        }
        transaction.batch_execute("SET LOCAL statement_timeout = 0").await?;
        for view in views {
            for index in view.create_sorts(&schema) {
                transaction.batch_execute(&index).await?;
            }
            // With its statistics the table is queried well from the first moment.
            transaction.batch_execute(&format!("ANALYZE {}", schema.table(view.name()))).await?;
        }
        lease.extend(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    })
    .await?;
    if made { Ok(()) } else { Err(LeaseError::Lost) }
}

/// Notes that the maker of a generation, which nobody else writes or reads, has made them.
pub(crate) async fn made(connection: &Connection, lease: &Lease) -> Result<(), DatabaseError> {
    within(LIMIT, async {
        connection.client.execute(MADE, &[&lease.generation, &lease.epoch]).await?;
        Ok(())
    })
    .await
}
