//! Reads a whole store and verifies it.

use super::event::{Position, Revision, TOMBSTONE};
use super::reader::ReadError;
use super::row::{self, COLUMNS};
use super::{DATABASE, LOCK, OpenError, intact, schema};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use service_kit::Lock;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// How many damaged places are told at most.
const TOLD: usize = 1_000;

/// Progress is told after so many events.
const STEP: u64 = 1_000_000;

/// Why nothing could be done to a store.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// There is nothing to work on.
    #[error("there is no store at {}; say where it is with --data DIR", .0.display())]
    Absent(PathBuf),
    /// There is nothing to restore.
    #[error("there is no backup at {}; say where it is with --from FILE", .0.display())]
    NoBackup(PathBuf),
    /// It is a file of another kind.
    #[error("{} is no store: it is not a database of SQLite", .0.display())]
    NoStore(PathBuf),
    /// Nothing is overwritten.
    #[error("{} exists already, and nothing is overwritten; choose another place, or move it away", .0.display())]
    Exists(PathBuf),
    /// It is the database of a store, not a backup.
    #[error("{} lies beside what is to be restored: a part of its events may be there, and would be left behind; restore what `backup` made", .0.display())]
    NotAlone(PathBuf),
    /// SQLite takes names in UTF-8 only.
    #[error("{} is no name in UTF-8; choose another one", .0.display())]
    Name(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store is not as it was written.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The first damage found.
        what: String,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite failed.
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
}

/// What was found in a store.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// How many events there are.
    pub events: u64,
    /// In how many streams.
    pub streams: u64,
    /// What is damaged, a sentence each; of many, the first ones.
    pub damage: Vec<String>,
}

/// The database in a data directory, if there is one and its write-ahead log is not damaged.
pub(super) fn database_in(data_dir: &Path) -> Result<PathBuf, MaintenanceError> {
    let path = data_dir.join(DATABASE);
    if !path.is_file() {
        return Err(MaintenanceError::Absent(data_dir.to_owned()));
    }
    let unusable = |source| OpenError::Directory { dir: data_dir.to_owned(), source };
    // A server that has the lock did that when it started, and goes on writing.
    if let Some(_lock) = Lock::share(&data_dir.join(LOCK)).map_err(unusable)? {
        intact::verify(&path)?;
    }
    Ok(path)
}

/// Checks the store in `data_dir`.
pub(crate) fn check(
    data_dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<CheckReport, MaintenanceError> {
    check_file(&database_in(data_dir)?, progress)
}

/// The number of events in a backup that is not damaged.
pub(super) fn verified(path: &Path) -> Result<u64, MaintenanceError> {
    if !path.is_file() {
        return Err(MaintenanceError::NoBackup(path.to_owned()));
    }
    let CheckReport { events, damage, .. } = check_file(path, &mut |_| {})?;
    match damage.into_iter().next() {
        None => Ok(events),
        Some(what) => Err(MaintenanceError::Damaged { path: path.to_owned(), what }),
    }
}

fn check_file(path: &Path, progress: &mut dyn FnMut(&str)) -> Result<CheckReport, MaintenanceError> {
    let conn = schema::open_reader(path).map_err(|error| match error {
        OpenError::Database(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            MaintenanceError::NoStore(path.to_owned())
        }
        error => MaintenanceError::Open(error),
    })?;
    let tx = conn.unchecked_transaction()?;
    let mut report = CheckReport::default();
    if let Err(error) = schema::verify(&tx) {
        report.damage.push(error.to_string());
    }
    match events(&tx, &mut report, progress) {
        Ok(()) => {}
        // A page that cannot be read at all ends the reading, and is a finding.
        Err(error) => report.damage.push(ReadError::from(error).to_string()),
    }
    Ok(report)
}

fn events(
    conn: &Connection,
    report: &mut CheckReport,
    progress: &mut dyn FnMut(&str),
) -> rusqlite::Result<()> {
    let total: u64 = conn
        .query_row("SELECT max(position) FROM events", (), |row| row.get::<_, Option<i64>>(0))?
        .map_or(0, i64::cast_unsigned);
    let sql = format!(
        "SELECT {COLUMNS}, e.stream FROM events e LEFT JOIN streams s ON s.id = e.stream ORDER BY e.position"
    );
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(())?;
    let mut last_position: Position = 0;
    let mut last_revisions: HashMap<i64, Revision> = HashMap::new();
    while let Some(row) = rows.next()? {
        let position: Position = row.get(0)?;
        let stream: i64 = row.get(10)?;
        report.events += 1;
        match row::fields(row) {
            Ok(fields) => {
                let before = last_revisions.insert(stream, fields.revision);
                if before.is_some_and(|before| before.checked_add(1) != Some(fields.revision))
                    && fields.revision != TOMBSTONE
                {
                    tell(report, || {
                        format!(
                            "Event {} of stream '{}' at position {position} does not follow event {} of it.",
                            fields.revision,
                            fields.stream,
                            before.unwrap_or_default()
                        )
                    });
                }
            }
            Err(error) => {
                if let Ok(revision) = row.get(1) {
                    last_revisions.insert(stream, revision);
                }
                tell(report, || error.to_string());
            }
        }
        // One below the first position is damaged, and told above.
        let expected = last_position.saturating_add(1);
        if position > expected && !is_scavenged(conn, expected, position - 1)? {
            tell(report, || format!("The events at positions {expected} to {} are missing.", position - 1));
        }
        last_position = position.max(last_position);
        if report.events.is_multiple_of(STEP) {
            progress(&format!("{} of at most {total} events are checked", report.events));
        }
    }
    report.streams = last_revisions.len() as u64;
    Ok(())
}

fn tell(report: &mut CheckReport, what: impl FnOnce() -> String) {
    if report.damage.len() < TOLD {
        report.damage.push(what());
    }
}

/// Whether the positions from `first` to `last` are known to have no event any more.
pub(super) fn is_scavenged(conn: &Connection, first: Position, last: Position) -> rusqlite::Result<bool> {
    let mut statement =
        conn.prepare_cached("SELECT last FROM gaps WHERE first <= ?1 ORDER BY first DESC LIMIT 1")?;
    let end: Option<Position> = statement.query_row([first], |row| row.get(0)).optional()?;
    Ok(end.is_some_and(|end| end >= last))
}
