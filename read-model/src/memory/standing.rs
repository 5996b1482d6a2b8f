//! Where the read models stand, and how their projection is, as one question.

use crate::database::{Connection, DatabaseError};
use crate::lease::Lag;
use crate::reader::Projection;
use crate::value::{self, Unreadable};
use deadpool_postgres::Transaction;
use std::time::Duration;
use tokio_postgres::Row;

// The control tables may be of an earlier version, which counts no refolds and does not tell how late it is: a projector has
// still to migrate them.
const STANDING: &str = "
    SELECT active.generation, projection.position, (told ->> 'refolds')::int8, running.now,
        CASE WHEN owner IS NULL OR running.now THEN (told ->> 'owner_since')::timestamptz ELSE lease_until END,
        CASE WHEN behind.is_known THEN (told ->> 'behind_ms')::int8 END,
        CASE WHEN behind.is_known THEN (told ->> 'behind_events')::int8 END
    FROM bookstock.active JOIN bookstock.projection USING (generation)
        CROSS JOIN LATERAL to_jsonb(projection) AS told
        CROSS JOIN LATERAL (SELECT coalesce(lease_until > clock_timestamp(), false) AS now) AS running
        CROSS JOIN LATERAL (
            SELECT running.now AND (told ->> 'behind_until')::timestamptz > clock_timestamp() AS is_known
        ) AS behind";

/// What the database says of the generation that serves.
pub(super) struct Standing {
    pub(super) generation: i32,
    pub(super) position: u64,
    pub(super) refolds: Option<u64>,
    pub(super) projection: Projection,
}

impl Standing {
    /// Nothing if none serves.
    pub(super) async fn ask(connection: &Connection) -> Result<Option<Self>, DatabaseError> {
        let statement = connection.client.prepare_cached(STANDING).await?;
        Ok(connection.client.query_opt(&statement, &[]).await?.as_ref().map(read).transpose()?)
    }

    /// The same, in the snapshot of a transaction.
    pub(super) async fn ask_in(transaction: &Transaction<'_>) -> Result<Option<Self>, DatabaseError> {
        let statement = transaction.prepare_cached(STANDING).await?;
        Ok(transaction.query_opt(&statement, &[]).await?.as_ref().map(read).transpose()?)
    }

    /// What a snapshot of it is told from others by.
    pub(super) fn state(&self) -> (i32, u64, Option<u64>) {
        (self.generation, self.position, self.refolds)
    }
}

fn read(row: &Row) -> Result<Standing, Unreadable> {
    let number = |column| {
        Ok::<_, Unreadable>(value::read::<Option<i64>>(row, column)?.and_then(|it| u64::try_from(it).ok()))
    };
    let behind = number(5)?.map(Duration::from_millis);
    let events = number(6)?;
    Ok(Standing {
        generation: value::read(row, 0)?,
        position: value::read_u64(row, 1)?,
        refolds: number(2)?,
        projection: Projection {
            running: value::read(row, 3)?,
            since: value::read_moment_if_any(row, 4)?,
            lag: behind.map(|behind| Lag { behind, events }),
        },
    })
}
