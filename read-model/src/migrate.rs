//! The control tables, and the role that may only read.

use crate::database::{Connection, Database, DatabaseError, NotAnAddress, describe};
use std::time::Duration;
use tokio_postgres::error::SqlState;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The group of those who may read the read models, and nothing else.
pub(crate) const READER_ROLE: &str = "bookstock_reader";

/// Another process may be migrating the same database; it is waited for this long.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the control tables could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The address is wrong.
    #[error(transparent)]
    Address(#[from] NotAnAddress),
    /// PostgreSQL was not reached or refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The user may not make the group of readers.
    #[error(
        "the database user may not set up the role {READER_ROLE} ({reason}); let a superuser run once: CREATE ROLE {READER_ROLE} NOLOGIN; GRANT {READER_ROLE} TO <the users of projector and query-api>;"
    )]
    Role {
        /// What PostgreSQL said.
        reason: String,
    },
    /// The tables are of another version than this program, or could not be changed.
    #[error("the control tables of the read models cannot be migrated: {0}")]
    Migration(#[source] Box<refinery::Error>),
}

/// Brings the control tables of the database to this version: schema `bookstock`, and the role
/// `bookstock_reader`, which may only read. Any
/// number of processes may do so at once, and again.
///
/// # Errors
/// [`MigrateError`].
pub async fn migrate(database_url: &str) -> Result<(), MigrateError> {
    let database: Database = database_url.parse()?;
    let limit = LOCK_TIMEOUT.as_millis();
    let mut connection = database
        .connect(
            "bookstock migrations",
            &format!("SET lock_timeout = {limit}; SET statement_timeout = {limit}"),
        )
        .await?;
    make_reader_role(&connection).await?;
    // Held until the connection closes. Refinery takes no lock of its own.
    connection
        .client
        .batch_execute(
            "SELECT pg_advisory_lock(hashtext('bookstock migrations')); CREATE SCHEMA IF NOT EXISTS bookstock",
        )
        .await
        .map_err(DatabaseError::from)?;
    embedded::migrations::runner()
        .set_migration_table_name("bookstock.migrations")
        .run_async(&mut *connection.client)
        .await
        .map_err(|error| MigrateError::Migration(Box::new(error)))?;
    Ok(())
}

/// Roles belong to the whole cluster, so that another database's migration may make the role at the same moment.
async fn make_reader_role(connection: &Connection) -> Result<(), MigrateError> {
    let statement = format!(
        "DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{READER_ROLE}') THEN
                BEGIN
                    CREATE ROLE {READER_ROLE} NOLOGIN;
                EXCEPTION WHEN duplicate_object OR unique_violation THEN
                    NULL;
                END;
            END IF;
            -- Since PostgreSQL 16 a member may not take the role on unless that is granted too.
            IF NOT pg_has_role(current_user, '{READER_ROLE}',
                CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
            THEN
                GRANT {READER_ROLE} TO CURRENT_USER;
            END IF;
        END $$"
    );
    connection.client.batch_execute(&statement).await.map_err(|error| match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => MigrateError::Role { reason: describe(&error) },
        _ => DatabaseError::from(error).into(),
    })
}
