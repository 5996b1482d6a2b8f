//! A directory belongs to one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// A lock that the system takes back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Locks the file `path`, made if it is missing; `None` if another process has it.
    ///
    /// # Errors
    ///
    /// The file cannot be made, opened or locked.
    pub fn acquire(path: &Path) -> io::Result<Option<Self>> {
        Self::take(path, File::try_lock)
    }

    /// Locks the file `path` against those who want it for themselves; others may share it. `None` if somebody has it so.
    ///
    /// # Errors
    ///
    /// The file cannot be made, opened or locked.
    pub fn share(path: &Path) -> io::Result<Option<Self>> {
        Self::take(path, File::try_lock_shared)
    }

    fn take(path: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match lock(&file) {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Lock {
    /// Closing alone would leave the lock with a child that was forked and has not yet become its program.
    fn drop(&mut self) {
        // An error leaves it to the closing.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = Lock::acquire(&path).unwrap();
        assert!(first.is_some());
        assert!(Lock::acquire(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::acquire(&path).unwrap().is_some());
    }
    #[test]
    fn those_who_share_a_lock_keep_out_only_who_wants_it_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let shared = [Lock::share(&path).unwrap(), Lock::share(&path).unwrap()];
        assert!(shared.iter().all(Option::is_some));
        assert!(Lock::acquire(&path).unwrap().is_none());
        drop(shared);
        let alone = Lock::acquire(&path).unwrap();
        assert!(alone.is_some());
        assert!(Lock::share(&path).unwrap().is_none());
    }
}
