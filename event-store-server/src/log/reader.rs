//! The connections that read. Each read is one page: a short transaction on a blocking thread, so that no reader,
//! however slow, keeps a connection or a snapshot.

use super::event::{Position, Revision};
use super::{OpenError, schema};
use rusqlite::{Connection, ErrorCode};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// So many pages are read at the same time.
const CONNECTIONS: usize = 4;

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(
        "Event {revision} of stream '{stream}' at position {position} is damaged: its checksum does not match. Restore the store from a backup."
    )]
    Corrupt { stream: String, revision: Revision, position: Position },
    #[error(
        "The event at position {position} is damaged: its revision is not readable. Restore the store from a backup."
    )]
    NotReadable { position: Position },
    #[error(
        "Events of stream '{stream}' next to revision {revision} are missing: the database file is damaged. Restore the store from a backup."
    )]
    Missing { stream: String, revision: Revision },
    #[error(
        "The events at positions {first} to {last} are missing: the database file is damaged. Restore the store from a backup."
    )]
    MissingFromLog { first: Position, last: Position },
    #[error("The database file is damaged: {0}. Restore the store from a backup.")]
    CorruptFile(rusqlite::Error),
    #[error("The event store is shutting down.")]
    Closed,
    #[error("The log could not be read: {0}")]
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        // Our statements fit the tables that we made, so what does not fit them any more is the file.
        let misfit = matches!(
            error,
            rusqlite::Error::SqlInputError { .. }
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
        );
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
                Self::CorruptFile(error)
            }
            _ if misfit => Self::CorruptFile(error),
            _ => Self::Failed(error),
        }
    }
}

/// Where a page ends at the latest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// After so many events returned.
    pub(crate) events: usize,
    /// After so many events looked at, whether they matched a filter or not.
    pub(crate) considered: usize,
    /// After the event that fills so many bytes.
    pub(crate) bytes: usize,
}

/// The reading connections.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let idle = (0..CONNECTIONS).map(|_| schema::open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), free: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    /// Runs `page` within one snapshot of the log, as soon as a connection is free.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        page: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = self.free.clone().acquire_owned().await.map_err(|_| ReadError::Closed)?;
        let (idle, free) = (self.idle.clone(), self.free.clone());
        let read = move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let conn = taken.ok_or(ReadError::Closed)?;
            let result = snapshot(&conn, page);
            let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
            if !free.is_closed() {
                idle.push(conn);
            }
            drop(permit);
            result
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| ReadError::Closed)?
    }

    /// Closes all connections, those in use as soon as their page is read; waiting pages are refused.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn snapshot<T>(
    conn: &Connection,
    page: impl FnOnce(&Connection) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let tx = conn.unchecked_transaction()?;
    let page = page(&tx)?;
    tx.commit()?;
    Ok(page)
}
