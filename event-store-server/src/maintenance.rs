//! What an operator does to a store beside serving it.

pub use crate::log::{CheckReport, MaintenanceError, Scavenged};

use crate::log;
use std::path::Path;

/// Copies the store in `data_dir` to the file `to`, as it is at one moment, while a server may be running, and verifies
/// the copy. Gives the number of events in it.
///
/// # Errors
/// When there is no store, `to` exists or cannot be written, or the copy does not hold.
pub fn backup(data_dir: &Path, to: &Path) -> Result<u64, MaintenanceError> {
    log::backup(data_dir, to)
}

/// Makes a store of the backup `from` in `data_dir`, and verifies it first. Gives the number of events in it.
///
/// # Errors
/// When the backup is damaged or `data_dir` holds a store already.
pub fn restore(from: &Path, data_dir: &Path) -> Result<u64, MaintenanceError> {
    log::restore(from, data_dir)
}

/// Reads every event of the store in `data_dir`, while a server may be running: checksums, revisions and positions.
/// `progress` hears how far it has come.
///
/// # Errors
/// When there is no store, or it cannot be read at all. What is damaged in it is in the report.
pub fn check(data_dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<CheckReport, MaintenanceError> {
    log::check(data_dir, progress)
}

/// Removes the events that no reader of their streams can see any more, and gives their space back. The server must not
/// be running.
///
/// # Errors
/// When there is no store, a server has it, or it is damaged.
pub fn scavenge(data_dir: &Path) -> Result<Scavenged, MaintenanceError> {
    log::scavenge(data_dir)
}
