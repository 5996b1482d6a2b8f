//! Where a cluster lies, where it logs, and where its socket is.

use super::account::Account;
use super::error::{ClusterError, Doing as _};
use sha2::{Digest as _, Sha256};
use std::fs::{DirBuilder, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

/// Where a cluster lies whose user cannot get into the data directory.
const ELSEWHERE: &str = "/var/lib/bookstock";

/// The longest path of a socket, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// The name of the socket in its directory, without TCP always the same.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";

/// The paths of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The cluster, PostgreSQL's own data directory.
    pub(super) cluster: PathBuf,
    /// What leads to it from our data directory: the same path, or a link.
    link: PathBuf,
    /// The directory of the socket.
    pub(super) sockets: PathBuf,
    /// The server's log; that of the start before is kept beside it.
    pub(super) log: PathBuf,
}

/// The place of the cluster of `directory` (canonical), there or to be made, and the user for it.
pub(super) fn find(directory: &Path) -> Result<(Place, Account), ClusterError> {
    let link = directory.join("postgres");
    let there = link.symlink_metadata().is_ok();
    let (cluster, account) = if there {
        let cluster = link.canonicalize().doing(format!("following {}", link.display()))?;
        let account = Account::of_the_owner(&cluster)?;
        if !account.can_enter(&cluster) {
            return Err(ClusterError::Closed(cluster));
        }
        (cluster, account)
    } else {
        let account = Account::of_a_new_cluster()?;
        let cluster = if account.can_enter(directory) { link.clone() } else { elsewhere(directory)? };
        (cluster, account)
    };
    let sockets = sockets(directory, account);
    Ok((Place { cluster, link, sockets, log: directory.join("postgres.log") }, account))
}

/// A place of its own outside of a directory that only root can enter. It gets a new name each time, so that a
/// data directory made anew never finds the cluster of the one before it.
fn elsewhere(directory: &Path) -> Result<PathBuf, ClusterError> {
    let parent = Path::new(ELSEWHERE).join(service_kit::clock::unix_micros().to_string());
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&parent)
        .doing(format!("making {}", parent.display()))?;
    tracing::info!(
        data_dir = %directory.display(), cluster = %parent.display(),
        "PostgreSQL does not run as root and its user cannot enter the data directory, so its files lie elsewhere"
    );
    Ok(parent.join("postgres"))
}

/// Always the same directory for one data directory, so that its address outlives a restart and no crash leaves
/// another behind.
fn sockets(directory: &Path, account: Account) -> PathBuf {
    let hash = Sha256::digest(directory.as_os_str().as_bytes());
    let name = hash.iter().take(8).fold("bookstock-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
    let fits = |path: &PathBuf| path.join(SOCKET).as_os_str().len() <= MAX_SOCKET_PATH;
    let temporary = std::env::temp_dir();
    Some(temporary.join(&name))
        .filter(|path| path.is_absolute() && fits(path) && account.can_enter(&temporary))
        .unwrap_or_else(|| Path::new("/tmp").join(name))
}

impl Place {
    /// Whether the cluster has been made.
    pub(super) fn exists(&self) -> bool {
        self.cluster.join("PG_VERSION").is_file()
    }

    /// The major version that made the cluster, if it has been made.
    pub(super) fn version(&self) -> Result<Option<String>, ClusterError> {
        let file = self.cluster.join("PG_VERSION");
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(format!("reading {}", file.display())),
        }
    }

    /// Where a cluster is made before it is complete.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.cluster.with_added_extension("new")
    }

    /// Makes a cluster that is complete the cluster of the data directory, for good.
    pub(super) fn finish(&self) -> std::io::Result<()> {
        std::fs::rename(self.unfinished(), &self.cluster)?;
        sync_parent(&self.cluster)?;
        if self.link != self.cluster {
            symlink(&self.cluster, &self.link)?;
            sync_parent(&self.link)?;
        }
        Ok(())
    }

    /// Makes the directory of the socket, closed to all but the user. Whoever can enter it is let in by PostgreSQL.
    pub(super) fn open_sockets(&self, account: &Account) -> Result<(), ClusterError> {
        let path = &self.sockets;
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => account.own(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let found = path.symlink_metadata().doing(format!("looking at {}", path.display()))?;
                let closed = found.is_dir() && found.uid() == account.user_id() && found.mode() & 0o077 == 0;
                if closed { Ok(()) } else { return Err(ClusterError::NotOurs(path.clone())) }
            }
            Err(error) => Err(error),
        }
        .doing(format!("making {}", path.display()))
    }
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_has_one_socket_directory_that_is_short_enough() {
        let account = Account::of_a_new_cluster().unwrap();
        let long = PathBuf::from("/").join("a-long-name/".repeat(40));
        let path = sockets(&long, account);
        assert!(path.join(SOCKET).as_os_str().len() <= MAX_SOCKET_PATH, "{}", path.display());
        assert_eq!(path, sockets(&long, account));
        assert_ne!(path, sockets(Path::new("/elsewhere"), account));
    }

    #[test]
    fn a_socket_directory_that_somebody_else_could_enter_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let account = Account::of_a_new_cluster().unwrap();
        let path = |name| directory.path().join(name);
        let place = Place { cluster: path("c"), link: path("c"), sockets: path("sockets"), log: path("log") };
        DirBuilder::new().mode(0o755).create(&place.sockets).unwrap();
        let error = place.open_sockets(&account).unwrap_err();
        assert!(matches!(error, ClusterError::NotOurs(_)), "{error}");
    }
}
