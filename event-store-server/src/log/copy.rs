//! Backup and restore: a store is one file, so its backup is one too.

use super::check::{self, MaintenanceError};
use super::{DATABASE, beside, lock, schema};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Copies the store in one reading transaction, so that a server may go on meanwhile.
pub(crate) fn backup(data_dir: &Path, to: &Path) -> Result<u64, MaintenanceError> {
    let source = check::database_in(data_dir)?;
    if let Some(there) = parts(to).find(|part| part.exists()) {
        return Err(MaintenanceError::Exists(there));
    }
    let part = beside(to, ".part");
    remove_if_there(&part)?;
    let conn = schema::open_reader(&source)?;
    conn.execute("VACUUM INTO ?1", [part.to_str().ok_or_else(|| MaintenanceError::Name(part.clone()))?])?;
    drop(conn);
    let events = check::verified(&part)?;
    put(&part, to)?;
    Ok(events)
}

/// Copies a backup to where a server will find it.
pub(crate) fn restore(from: &Path, data_dir: &Path) -> Result<u64, MaintenanceError> {
    if let Some(part) = parts(from).skip(1).find(|part| part.exists()) {
        return Err(MaintenanceError::NotAlone(part));
    }
    let events = check::verified(from)?;
    let _lock = lock(data_dir)?;
    let to = data_dir.join(DATABASE);
    if let Some(there) = parts(&to).find(|part| part.exists()) {
        return Err(MaintenanceError::Exists(there));
    }
    let part = beside(&to, ".part");
    std::fs::copy(from, &part).map_err(|source| MaintenanceError::File { path: part.clone(), source })?;
    put(&part, &to)?;
    Ok(events)
}

/// A database, and what SQLite takes for a part of it when it lies beside.
fn parts(database: &Path) -> impl Iterator<Item = PathBuf> {
    ["", "-wal", "-shm", "-journal"].map(|suffix| beside(database, suffix)).into_iter()
}

/// Gives a complete file its name, on the disk too.
fn put(part: &Path, to: &Path) -> Result<(), MaintenanceError> {
    let synced = || {
        File::open(part)?.sync_all()?;
        std::fs::rename(part, to)?;
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()
    };
    synced().map_err(|source| MaintenanceError::File { path: to.to_owned(), source })
}

/// What an earlier attempt may have left.
fn remove_if_there(path: &Path) -> Result<(), MaintenanceError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(MaintenanceError::File { path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
