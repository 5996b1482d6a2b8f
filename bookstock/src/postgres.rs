//! A PostgreSQL of our own: a private cluster under a data directory, from the server binaries that the system has.
//!
//! Durable, reachable only through a Unix socket in a directory that is closed to others, ended with the process that
//! started it, and back by itself after any crash. It never touches a cluster of the system's own.
//!
//! In the order of use: who runs it (`account`), where it lies (`place`), with which programs (`binaries`), what
//! a crash left of it (`leftovers`), how it is made (`create`), run (`postmaster`) and set up (`bootstrap`).

mod account;
mod binaries;
mod bootstrap;
mod create;
mod error;
mod leftovers;
mod place;
mod postmaster;

use binaries::Binaries;
pub use error::ClusterError;
use error::Doing as _;
use postmaster::Postmaster;
use service_kit::Lock;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long to wait before the server is started once more, when that has just failed.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What happens to a cluster that is [kept running](PrivateCluster::keep_running).
#[derive(Debug)]
pub enum Turn<'a> {
    /// It ended in this way, and is started again.
    Ended(&'a str),
    /// That failed, and is tried again.
    NotBack(&'a ClusterError),
    /// It takes connections again.
    Back,
}

/// A running private cluster. Dropping it asks the server to end; [`PrivateCluster::stop`] also waits for that.
#[derive(Debug)]
pub struct PrivateCluster {
    directory: PathBuf,
    postmaster: Postmaster,
    sockets: PathBuf,
    _lock: Lock,
}

impl PrivateCluster {
    /// Starts the cluster of `directory` and makes what is missing: the directory, the cluster, its database
    /// `bookstock` and its roles. Returns when it takes connections, also after it had to recover from a crash.
    ///
    /// # Errors
    /// [`ClusterError`]: no PostgreSQL installed, another process has the directory, or what the system says.
    pub async fn start(directory: &Path) -> Result<Self, ClusterError> {
        let (directory, lock) = take(directory)?;
        let (postmaster, sockets) = launch(&directory).await?;
        Ok(Self { directory, postmaster, sockets, _lock: lock })
    }

    /// Starts the server again after it has ended for a reason of its own. Its addresses stay.
    ///
    /// # Errors
    /// [`ClusterError`], as for [`PrivateCluster::start`]; it may be tried again.
    pub async fn start_again(&mut self) -> Result<(), ClusterError> {
        (self.postmaster, self.sockets) = launch(&self.directory).await?;
        Ok(())
    }

    /// The address for the owner of the database, who may make and change tables.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(bootstrap::OWNER)
    }

    /// The address for a user who may only read what is shown to the role `bookstock_reader`.
    #[must_use]
    pub fn read_url(&self) -> String {
        self.url_of(bootstrap::READER)
    }

    /// Waits until the server ends for a reason of its own, and tells how it did.
    pub async fn ended(&self) -> String {
        self.postmaster.ended().await
    }

    /// Starts the cluster again whenever it ends, until it is told to stop: commands go on without it, and the views
    /// catch up. Whatever happens is `told`.
    pub async fn keep_running(mut self, stop: CancellationToken, told: impl Fn(Turn<'_>)) {
        loop {
            tokio::select! {
                how = self.ended() => told(Turn::Ended(&how)),
                () = stop.cancelled() => break,
            }
            match self.start_again().await {
                Ok(()) => told(Turn::Back),
                Err(error) => {
                    told(Turn::NotBack(&error));
                    tokio::select! {
                        () = tokio::time::sleep(RESTART_PAUSE) => {}
                        () = stop.cancelled() => break,
                    }
                }
            }
        }
        self.stop().await;
    }

    /// Ends the server: sessions are cut, everything is written, and the next start has nothing to recover.
    pub async fn stop(self) {
        self.postmaster.stop().await;
        // A directory that stays is used again by the next start.
        let _ = std::fs::remove_dir_all(&self.sockets);
    }

    fn url_of(&self, user: &str) -> String {
        let host = self.sockets.to_string_lossy().replace('%', "%25").replace('/', "%2F");
        format!("postgres://{user}@{host}/{}", bootstrap::DATABASE)
    }
}

/// Makes the cluster if there is none, clears what a crash left of it, and runs its server.
async fn launch(directory: &Path) -> Result<(Postmaster, PathBuf), ClusterError> {
    let (place, account) = place::find(directory)?;
    let binaries = Binaries::find(place.version()?.as_deref())?;
    leftovers::clear(&place).await?;
    if !place.exists() {
        create::run(&binaries, &account, &place).await?;
    }
    place.open_sockets(&account)?;
    let command = postmaster::command(&binaries, &account, &place)?;
    let postmaster = Postmaster::start(command).await.doing("starting PostgreSQL")?;
    postmaster.ready(&place).await?;
    bootstrap::run(&place.sockets).await?;
    tracing::info!(cluster = %place.cluster.display(), version = binaries.version, "PostgreSQL is ready");
    Ok((postmaster, place.sockets))
}

/// Makes the data directory if it is missing, and locks its cluster.
fn take(directory: &Path) -> Result<(PathBuf, Lock), ClusterError> {
    let shown = directory.display();
    std::fs::create_dir_all(directory).doing(format!("making {shown}"))?;
    let directory = directory.canonicalize().doing(format!("resolving {shown}"))?;
    let lock = Lock::acquire(&directory.join("postgres.lock")).doing(format!("locking {shown}"))?;
    let lock = lock.ok_or_else(|| ClusterError::InUse(directory.clone()))?;
    Ok((directory, lock))
}
