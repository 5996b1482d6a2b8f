//! Building the next generation beside the one that serves: begun, then filled by [`crate::batch`] under its lease, then
//! switched to, frozen, or dropped.
//!
//! A maker that dies leaves a generation that is still `building` and whose lease runs out. It never served, nobody
//! else writes it, and the next maker drops it.

use super::{FOLD_VERSION, LIMIT, Schema};
use crate::database::{Connection, DatabaseError, within};
use crate::lease::{HANDED_BACK, Lease};
use crate::parked;
use crate::sorting;
use crate::value;
use crate::view::AnyView;
use deadpool_postgres::Transaction;
use std::time::Duration;

/// A generation that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The right to fill it.
    pub lease: Lease,
    /// Those that makers which died had left unfinished, dropped now.
    pub dropped: Vec<i32>,
}

/// What a generation is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To serve one day.
    Next,
    /// To be looked at and dropped: a crash of PostgreSQL empties it.
    Scratch,
}

/// Why a generation is not begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// One at a time.
    #[error("generation {generation} is being built by {owner}; wait for it, or stop that rebuild")]
    UnderWay {
        /// The unfinished generation.
        generation: i32,
        /// Who builds it.
        owner: String,
    },
    /// PostgreSQL failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a generation does not serve, or is not left as it is.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// It would take readers back in time; apply what came since and try again.
    #[error("it is at position {ours} only, and the one that serves at {theirs}")]
    Behind {
        /// Where the new generation is.
        ours: u64,
        /// Where the one that serves is.
        theirs: u64,
    },
    /// The lease ran out and was taken, or the generation was dropped.
    #[error("the generation is not ours any more: its lease was lost")]
    Lost,
    /// PostgreSQL failed. If it did so while committing, the generation may serve after all.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Makes the next generation with the tables of `views`, to be filled by `owner`. Their indexes come later, with
/// [`index`].
///
/// # Errors
/// [`BeginError`].
pub async fn begin(
    connection: &mut Connection,
    owner: &str,
    term: Duration,
    kind: Kind,
    views: &[&dyn AnyView],
) -> Result<Begun, BeginError> {
    let term_ms = i64::try_from(term.as_millis()).unwrap_or(i64::MAX);
    let persistence = match kind {
        Kind::Next => "",
        Kind::Scratch => "UNLOGGED",
    };
    let made = within(LIMIT, async {
        let transaction = super::alone(connection).await?;
        let unfinished = transaction
            .query(
                "SELECT generation, owner, coalesce(lease_until >= clock_timestamp(), false)
                 FROM bookstock.projection WHERE stage = 'building' ORDER BY generation FOR UPDATE",
                &[],
            )
            .await?;
        let mut dropped = Vec::new();
        for row in &unfinished {
            let (generation, owner): (i32, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            if row.try_get(2)? {
                return Ok(Err((generation, owner.unwrap_or_default())));
            }
            remove(&transaction, generation).await?;
            dropped.push(generation);
        }
        let generation = super::make_tables(&transaction, views, persistence).await?;
        transaction
            .execute(
                "INSERT INTO bookstock.projection (generation, fold_version, sorted, stage, epoch, owner, lease_until)
                 VALUES ($1, $2, false, 'building', 1, $3, clock_timestamp() + $4::int8 * interval '1 ms')",
                &[&generation, &FOLD_VERSION, &owner, &term_ms],
            )
            .await?;
        transaction.commit().await?;
        Ok(Ok((generation, dropped)))
    })
    .await?;
    match made {
        Ok((generation, dropped)) => Ok(Begun { lease: Lease { generation, epoch: 1, term_ms }, dropped }),
        Err((generation, owner)) => Err(BeginError::UnderWay { generation, owner }),
    }
}

/// Makes the indexes of a generation that has its rows. It takes as long as it takes.
///
/// # Errors
/// [`DatabaseError`].
pub async fn index(
    connection: &Connection,
    lease: &Lease,
    views: &[&dyn AnyView],
) -> Result<(), DatabaseError> {
    let schema = Schema::of(lease.generation);
    let many = sorting::is_due(connection, lease.generation, sorting::MANY).await?;
    let sorts = views.iter().filter(|_| many).flat_map(|view| view.create_sorts(&schema));
    let indexes = views.iter().flat_map(|view| view.create_indexes(&schema)).chain(sorts);
    let tables = views.iter().map(|view| view.name()).chain(["streams"]);
    // With its statistics a table is queried well from the first moment.
    let statements = indexes.chain(tables.map(|table| format!("ANALYZE {}", schema.table(table))));
    for statement in statements.collect::<Vec<_>>() {
        connection.client.batch_execute(&statement).await?;
    }
    if many {
        sorting::made(connection, lease).await?;
    }
    Ok(())
}

/// Copies the tables of `views` from the generation that serves, all as it stands at one position, and answers that.
///
/// # Errors
/// [`DatabaseError`].
pub async fn copy(
    connection: &mut Connection,
    lease: &Lease,
    views: &[&dyn AnyView],
) -> Result<u64, DatabaseError> {
    let transaction = connection
        .client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .start()
        .await?;
    let row = transaction
        .query_opt(
            "SELECT generation, position FROM bookstock.active JOIN bookstock.projection USING (generation)",
            &[],
        )
        .await?
        .ok_or(DatabaseError::NoGeneration)?;
    let (from, to) = (Schema::of(row.try_get(0)?), Schema::of(lease.generation));
    for view in views {
        let (from, to) = (from.table(view.name()), to.table(view.name()));
        transaction.batch_execute(&format!("INSERT INTO {to} SELECT * FROM {from}")).await?;
    }
    transaction.commit().await?;
    value::read_u64(&row, 1).map_err(DatabaseError::from)
}

/// Lets the generation of `lease` serve from now on, in one transaction; the one before is kept. With
/// `whatever_position`, also one that is behind it: positions of another store mean nothing.
///
/// # Errors
/// [`SwitchError`]; then the one before goes on serving.
pub async fn switch(
    connection: &mut Connection,
    lease: &Lease,
    whatever_position: bool,
) -> Result<Option<i32>, SwitchError> {
    within(LIMIT, async {
        let transaction = super::alone(connection).await?;
        // With its row locked, the projector does not move it on meanwhile.
        let serving = transaction
            .query_opt(
                "SELECT generation, position FROM bookstock.projection
                 WHERE generation = (SELECT generation FROM bookstock.active) FOR UPDATE",
                &[],
            )
            .await?;
        let before: Option<i32> = serving.as_ref().map(|row| row.try_get(0)).transpose()?;
        let theirs = serving.as_ref().map_or(Ok(0), |row| value::read_u64(row, 1))?;
        let ours = transaction
            .query_opt(
                "SELECT position FROM bookstock.projection WHERE generation = $1 AND epoch = $2 FOR UPDATE",
                &[&lease.generation, &lease.epoch],
            )
            .await?;
        let Some(ours) = ours else { return Ok(Err(SwitchError::Lost)) };
        let ours = value::read_u64(&ours, 0)?;
        if ours < theirs && !whatever_position {
            return Ok(Err(SwitchError::Behind { ours, theirs }));
        }
        transaction
            .execute(
                "UPDATE bookstock.projection
                 SET stage = 'kept', owner = NULL, lease_until = NULL WHERE generation = $1",
                &[&lease.generation],
            )
            .await?;
        super::serve(&transaction, lease.generation).await?;
        transaction.commit().await?;
        Ok(Ok(before))
    })
    .await?
}

/// Leaves the generation of `lease` as it is from now on: nobody writes it again, and it does not serve.
///
/// # Errors
/// [`SwitchError::Lost`] when it is not ours any more, or the failure of PostgreSQL.
pub async fn freeze(connection: &Connection, lease: &Lease) -> Result<(), SwitchError> {
    let sql = "UPDATE bookstock.projection SET stage = 'frozen', owner = NULL, lease_until = NULL
               WHERE generation = $1 AND epoch = $2";
    let frozen = within(LIMIT, async {
        Ok(connection.client.execute(sql, &[&lease.generation, &lease.epoch]).await?)
    })
    .await?;
    if frozen == 1 { Ok(()) } else { Err(SwitchError::Lost) }
}

/// Drops the tables of a generation and what the engine knows of it.
pub(super) async fn remove(transaction: &Transaction<'_>, generation: i32) -> Result<(), DatabaseError> {
    let schema = Schema::of(generation);
    // Its row first, and then the streams that wait in their order: so does whoever writes into it.
    let row = "SELECT FROM bookstock.projection WHERE generation = $1 FOR UPDATE";
    transaction.execute(row, &[&generation]).await?;
    parked::lock(transaction, generation).await?;
    transaction.execute("DELETE FROM bookstock.projection WHERE generation = $1", &[&generation]).await?;
    transaction.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await?;
    transaction.execute("SELECT pg_notify($1, $2)", &[&HANDED_BACK, &generation.to_string()]).await?;
    Ok(())
}
