//! Generations: whole sets of the views' tables, each in a schema of its own, of which one serves.

mod build;
mod kept;

use crate::batch::POSITION;
use crate::database::{Connection, DatabaseError, within};
use crate::lease::HANDED_BACK;
use crate::view::AnyView;
pub use build::{BeginError, Begun, Kind, SwitchError, begin, copy, freeze, index, switch};
use deadpool_postgres::Transaction;
pub use kept::{KeptError, Listed, Stage, WentBack, drop_one, give_up, go_back, list};
use std::fmt;
use std::time::Duration;

/// The version of the folds of all views. It is raised when any view's rows would come out otherwise: then the tables
/// are made anew by a rebuild, never changed in place.
pub const FOLD_VERSION: i32 = 3;

/// How long a statement on the control tables may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A generation and who can write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number, from 1. No other generation of this database ever has the same.
    pub number: i32,
    /// The [`FOLD_VERSION`] of the code that writes it.
    pub fold_version: i32,
}

/// The schema that holds a generation's tables: `rm_<generation>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    generation: i32,
}

impl Schema {
    /// Of the generation with this number.
    #[must_use]
    pub fn of(generation: i32) -> Self {
        Self { generation }
    }

    /// The full name of one of its tables.
    #[must_use]
    pub fn table(self, name: &str) -> String {
        format!("{self}.{name}")
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "rm_{}", self.generation)
    }
}

/// The generation that serves. In a database that has none yet, the first one is made, with the tables of `views`, and
/// serves from now on. Any number of processes may do so at once.
///
/// # Errors
/// [`DatabaseError`].
pub async fn active_or_first(
    connection: &mut Connection,
    views: &[&dyn AnyView],
) -> Result<Generation, DatabaseError> {
    within(LIMIT, async {
        if let Some(generation) = active(connection).await? {
            return Ok(generation);
        }
        create(connection, views).await?;
        // Made by us or, at the same moment, by another process.
        active(connection).await?.ok_or(DatabaseError::NoGeneration)
    })
    .await
}

/// The generation that serves, if any was ever made.
///
/// # Errors
/// [`DatabaseError`].
pub async fn active(connection: &Connection) -> Result<Option<Generation>, DatabaseError> {
    let sql =
        "SELECT generation, fold_version FROM bookstock.active JOIN bookstock.projection USING (generation)";
    let statement = connection.client.prepare_cached(sql).await?;
    let row = connection.client.query_opt(&statement, &[]).await?;
    row.map(|row| Ok(Generation { number: row.try_get(0)?, fold_version: row.try_get(1)? })).transpose()
}

/// The generations of this fold version that are kept current though they do not serve.
///
/// # Errors
/// [`DatabaseError`].
pub async fn kept_beside_serving(connection: &Connection) -> Result<Vec<i32>, DatabaseError> {
    within(LIMIT, async {
        let sql = "SELECT generation FROM bookstock.projection
                   WHERE stage = 'kept' AND fold_version = $1
                       AND generation <> (SELECT generation FROM bookstock.active)
                   ORDER BY generation";
        let rows = connection.client.query(sql, &[&FOLD_VERSION]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    })
    .await
}

/// Begins a transaction in which nobody else makes, switches or drops a generation. One that is paused in the middle of it
/// would keep the projector waiting, and so loses it; and one that waits for somebody gives up before those who wait behind it do.
async fn alone(connection: &mut Connection) -> Result<Transaction<'_>, DatabaseError> {
    let transaction = connection.client.transaction().await?;
    let alone = "SET LOCAL idle_in_transaction_session_timeout = '1s'; SET LOCAL lock_timeout = '2s';
                 LOCK TABLE bookstock.active IN EXCLUSIVE MODE";
    transaction.batch_execute(alone).await?;
    Ok(transaction)
}

/// Makes the tables of a generation and lets it serve, unless another process has just done so.
async fn create(connection: &mut Connection, views: &[&dyn AnyView]) -> Result<(), DatabaseError> {
    // The others wait here, and then find it made.
    let transaction = alone(connection).await?;
    if transaction.query_opt("SELECT FROM bookstock.active", &[]).await?.is_some() {
        return Ok(());
    }
    let number = make_tables(&transaction, views, "").await?;
    for index in views.iter().flat_map(|view| view.create_indexes(&Schema::of(number))) {
        transaction.batch_execute(&index).await?;
    }
    transaction
        .execute(
            "INSERT INTO bookstock.projection (generation, fold_version, sorted) VALUES ($1, $2, false)",
            &[&number, &FOLD_VERSION],
        )
        .await?;
    serve(&transaction, number).await?;
    transaction.commit().await?;
    tracing::info!(generation = number, "the first generation of the read models was made");
    Ok(())
}

/// Makes the tables of the next generation without their indexes, and answers its number, which none had before. `persistence` may be
/// `UNLOGGED`.
async fn make_tables(
    transaction: &Transaction<'_>,
    views: &[&dyn AnyView],
    persistence: &str,
) -> Result<i32, DatabaseError> {
    // A tool of an earlier version that still runs goes by the rows, and does not count here.
    let next = "UPDATE bookstock.last_generation SET generation = 1 + greatest(generation,
                    (SELECT max(made.generation) FROM bookstock.projection AS made))
                RETURNING generation";
    let number: i32 = transaction.query_one(next, &[]).await?.try_get(0)?;
    let schema = Schema::of(number);
    let tables: Vec<String> = views
        .iter()
        .map(|view| {
            view.create_table(&schema).replacen("CREATE TABLE", &format!("CREATE {persistence} TABLE"), 1)
        })
        .collect();
    transaction
        .batch_execute(&format!(
            "CREATE SCHEMA {schema};
             CREATE {persistence} TABLE {schema}.streams (book_id bigint PRIMARY KEY, revision bigint NOT NULL);
             {tables};
             GRANT USAGE ON SCHEMA {schema} TO bookstock_reader;
             GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO bookstock_reader",
            tables = tables.join(";\n"),
        ))
        .await?;
    Ok(number)
}

/// Lets a generation serve, and wakes the projectors, who have to find out, and those who wait for a position.
async fn serve(transaction: &Transaction<'_>, number: i32) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "INSERT INTO bookstock.active (generation) VALUES ($1)
             ON CONFLICT (only_row) DO UPDATE SET generation = excluded.generation",
            &[&number],
        )
        .await?;
    transaction
        .execute(
            "WITH serves AS (
                UPDATE bookstock.projection SET served_from = clock_timestamp() WHERE generation = $1
                RETURNING generation, position
            )
            SELECT pg_notify($2, generation::text), pg_notify($3, position::text) FROM serves",
            &[&number, &HANDED_BACK, &POSITION],
        )
        .await?;
    Ok(())
}
