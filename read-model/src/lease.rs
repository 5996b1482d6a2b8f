//! Who may write: a lease on one generation, fenced by an epoch.
//!
//! The lease only keeps projectors from working for nothing. What keeps the tables right is the epoch: each new owner
//! raises it, and every write proves that its own epoch still stands. So an owner that was paused past its lease, or
//! a second one, changes nothing.

use crate::database::{Connection, DatabaseError, within};
use crate::value;
use deadpool_postgres::Transaction;
use std::time::Duration;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// The channel on which a lease that was handed back is made known.
pub const HANDED_BACK: &str = "bookstock_lease";

/// How long one statement may take before PostgreSQL counts as frozen.
const LIMIT: Duration = Duration::from_secs(2);

/// How a writer's connection is set up. An owner that freezes within a transaction loses it after a second, and its
/// locks with it, so that its lease can be taken.
pub const WRITER_SETTINGS: &str = "
    SET idle_in_transaction_session_timeout = '1s';
    SET statement_timeout = '5s';
    SET lock_timeout = '2s'";

/// The right to write one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which generation.
    pub generation: i32,
    /// The number of this ownership; a later one is larger.
    pub epoch: i64,
    /// How long it lasts from each renewal, in milliseconds, by the database's clock.
    pub term_ms: i64,
}

/// The last event that a generation has folded in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its position; 0 before the first event.
    pub position: u64,
    /// Its id, by which a store proves to be the same one.
    pub event_id: Option<Uuid>,
}

/// How late a generation is, as its owner says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The age of the oldest event that was heard and is not applied; zero when there is none, and all were heard.
    pub behind: Duration,
    /// How many such events there are, if all were heard.
    pub events: Option<u64>,
}

/// Why a lease was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another owner took it.
    #[error("another projector has taken over")]
    Lost,
    /// PostgreSQL failed; the lease may still be ours.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Lease {
    /// Takes the lease on `generation` for `owner`, if nobody else holds it. `None`: somebody does.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn take(
        connection: &Connection,
        generation: i32,
        owner: &str,
        term: Duration,
    ) -> Result<Option<(Self, Checkpoint)>, DatabaseError> {
        let term_ms = i64::try_from(term.as_millis()).unwrap_or(i64::MAX);
        // Whoever has locked the row writes, however long ago the lease was renewed.
        let sql = "
            UPDATE bookstock.projection
            SET owner = $2, epoch = epoch + 1, lease_until = clock_timestamp() + $3::int8 * interval '1 ms',
                owner_since = coalesce(CASE WHEN owner = $2 THEN owner_since END, clock_timestamp()),
                behind_until = NULL
            WHERE generation = (
                SELECT generation FROM bookstock.projection
                WHERE generation = $1 AND (owner IS NULL OR owner = $2 OR lease_until < clock_timestamp())
                FOR NO KEY UPDATE SKIP LOCKED
            )
            RETURNING epoch, position, event_id::text";
        let row = within(LIMIT, async {
            Ok(connection.client.query_opt(sql, &[&generation, &owner, &term_ms]).await?)
        })
        .await?;
        let Some(row) = row else { return Ok(None) };
        let event_id: Option<&str> = value::read(&row, 2)?;
        let checkpoint = Checkpoint {
            position: value::read_u64(&row, 1)?,
            event_id: event_id.map(value::parse_event_id).transpose()?,
        };
        Ok(Some((Self { generation, epoch: value::read(&row, 0)?, term_ms }, checkpoint)))
    }

    /// Renews the lease, and tells readers how late the generation is, if that is known. A write renews it too, and neither
    /// waits for the disk: a crash that undoes it makes the lease shorter, and no epoch older.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] when another owner has it.
    pub async fn renew(&self, connection: &Connection, lag: Option<Lag>) -> Result<(), LeaseError> {
        let sql = "
            UPDATE bookstock.projection
            SET lease_until = clock_timestamp() + $3::int8 * interval '1 ms', behind_ms = $4, behind_events = $5,
                behind_until = clock_timestamp() + $3::int8 * interval '1 ms'
            WHERE generation = $1 AND epoch = $2 RETURNING set_config('synchronous_commit', 'off', true)";
        let Self { generation, epoch, term_ms } = self;
        let behind_ms = lag.map(|lag| i64::try_from(lag.behind.as_millis()).unwrap_or(i64::MAX));
        let behind_events = lag.and_then(|lag| lag.events).map(value::bigint);
        let renewed = within(LIMIT, async {
            let statement = connection.client.prepare_cached(sql).await?;
            let said = [generation as &(dyn ToSql + Sync), epoch, term_ms, &behind_ms, &behind_events];
            Ok(connection.client.execute(&statement, &said).await?)
        })
        .await?;
        if renewed == 1 { Ok(()) } else { Err(LeaseError::Lost) }
    }

    /// Renews the lease at the end of a transaction that has had its row locked, and may have taken longer than it lasted.
    pub(crate) async fn extend(&self, transaction: &Transaction<'_>) -> Result<(), DatabaseError> {
        let sql =
            "UPDATE bookstock.projection SET lease_until = clock_timestamp() + $3::int8 * interval '1 ms'
                   WHERE generation = $1 AND epoch = $2";
        transaction.execute(sql, &[&self.generation, &self.epoch, &self.term_ms]).await?;
        Ok(())
    }

    /// Gives the lease up, so that another owner can take it at once. A lease that is lost already is no error.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn hand_back(self, connection: &Connection) -> Result<(), DatabaseError> {
        let sql = "
            WITH freed AS (
                UPDATE bookstock.projection SET owner = NULL, lease_until = NULL, owner_since = clock_timestamp()
                WHERE generation = $1 AND epoch = $2
                RETURNING generation
            )
            SELECT pg_notify($3, generation::text) FROM freed";
        within(LIMIT, async {
            connection.client.query(sql, &[&self.generation, &self.epoch, &HANDED_BACK]).await?;
            Ok(())
        })
        .await
    }
}
