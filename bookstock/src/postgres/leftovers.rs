//! What a crash leaves behind, and why PostgreSQL cannot tell by itself.
//!
//! Its lock files name a process id. A killed server may stay a zombie, and in a container the ids soon belong to
//! other processes: PostgreSQL would take either for a running server and refuse to start. We hold a lock of our own,
//! so whatever still runs in the cluster is an orphan, and the lock files of a cluster without processes mean nothing.

use super::error::{ClusterError, Doing as _};
use super::place::{Place, SOCKET};
use rustix::process::{Pid, Signal, kill_process};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long orphans may take to end by themselves: an orderly stop writes everything first.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends the orphans of the cluster and removes the lock files.
pub(super) async fn clear(place: &Place) -> Result<(), ClusterError> {
    remove_unfinished(place)?;
    if !place.exists() {
        return Ok(());
    }
    end_orphans(&place.cluster).await;
    let lock_files = [
        place.cluster.join("postmaster.pid"),
        place.sockets.join(SOCKET),
        place.sockets.join(format!("{SOCKET}.lock")),
    ];
    for file in lock_files {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).doing(format!("removing {}", file.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The making of a cluster was cut short; it begins again.
fn remove_unfinished(place: &Place) -> Result<(), ClusterError> {
    let unfinished = place.unfinished();
    match std::fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).doing(format!("removing {}", unfinished.display()))
        }
        _ => Ok(()),
    }
}

async fn end_orphans(cluster: &Path) {
    let patient_until = Instant::now() + PATIENCE;
    let mut asked = None;
    loop {
        let orphans = processes_of(cluster);
        if orphans.is_empty() {
            return;
        }
        let overdue = Instant::now() > patient_until;
        let postmaster = orphans.iter().copied().find(|pid| Some(*pid) == recorded(cluster));
        if overdue {
            tracing::warn!(?orphans, "orphans of PostgreSQL do not end and are killed");
            for orphan in orphans {
                let _ = kill_process(orphan, Signal::KILL);
            }
        } else if asked != postmaster {
            tracing::info!(?postmaster, "waiting for a PostgreSQL that an earlier run left behind");
            // Those without a postmaster notice that it is gone and end by themselves.
            let _ = postmaster.map(|pid| kill_process(pid, Signal::INT));
            asked = postmaster;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The process id in the lock file.
fn recorded(cluster: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
}

/// The living server processes of the cluster: PostgreSQL's processes work in its directory. A zombie works nowhere.
fn processes_of(cluster: &Path) -> Vec<Pid> {
    let Ok(cluster) = cluster.metadata() else { return Vec::new() };
    let same = |directory: &Path| {
        directory.metadata().is_ok_and(|found| (found.dev(), found.ino()) == (cluster.dev(), cluster.ino()))
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            // A shell that stands in the directory is none of the server's.
            let program = std::fs::read_to_string(entry.path().join("comm")).ok()?;
            (program.trim() == "postgres" && same(&entry.path().join("cwd"))).then_some(pid)
        })
        .collect()
}
