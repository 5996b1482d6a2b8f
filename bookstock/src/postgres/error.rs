//! Why a private cluster does not run, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why a private cluster does not run. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No server binaries, or not those of the version that made the cluster.
    #[error(
        "no PostgreSQL server{} is installed; install {} (bin/up does), or set DATABASE_URL to a running one",
        version.as_ref().map_or(String::new(), |version| format!(" of version {version}, which made this cluster,")),
        version.as_ref().map_or("the package postgresql".to_owned(), |version| format!("the package postgresql-{version}"))
    )]
    NotInstalled {
        /// The version that the cluster needs, if there is a cluster already.
        version: Option<String>,
    },
    /// Another process runs the cluster.
    #[error("another process runs the PostgreSQL of {0}; stop it, or choose another data directory")]
    InUse(PathBuf),
    /// The cluster belongs to somebody else.
    #[error("{0} belongs to another user; start as that user or as root, or choose another data directory")]
    NotOurs(PathBuf),
    /// The user that runs PostgreSQL cannot get to the cluster.
    #[error(
        "the user that runs PostgreSQL cannot enter {0}, because a directory above it is closed; open it (chmod o+x), or choose another data directory"
    )]
    Closed(PathBuf),
    /// PostgreSQL refuses to run as root, and there is nobody else to run it.
    #[error(
        "PostgreSQL does not run as root, and this system has neither a user postgres nor nobody; start as another user, or set DATABASE_URL"
    )]
    NoAccount,
    /// It ended instead of getting ready.
    #[error("PostgreSQL {how} while starting; {} says why", log.display())]
    EndedEarly {
        /// How it ended.
        how: String,
        /// Where it logs.
        log: PathBuf,
    },
    /// It takes too long.
    #[error("PostgreSQL did not get ready within {} s; {} says what it is doing", waited_secs, log.display())]
    NotReady {
        /// How long it was waited for, in seconds.
        waited_secs: u64,
        /// Where it logs.
        log: PathBuf,
    },
    /// The cluster could not be made.
    #[error("initdb failed: {0}")]
    NotCreated(String),
    /// The database or its roles could not be made.
    #[error("the database could not be set up: {0}")]
    NotSetUp(#[from] tokio_postgres::Error),
    /// Anything else the system says.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Says what was being done when the system refused.
pub(super) trait Doing<T> {
    /// The error, with what was being `done`.
    fn doing(self, done: impl Into<String>) -> Result<T, ClusterError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, done: impl Into<String>) -> Result<T, ClusterError> {
        self.map_err(|source| ClusterError::Io { doing: done.into(), source })
    }
}
