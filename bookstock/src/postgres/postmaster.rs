//! The server process: its settings, its start, its signals, its end.

use super::account::Account;
use super::binaries::Binaries;
use super::error::{ClusterError, Doing as _};
use super::place::Place;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

/// How long it may take to get ready. After a crash it first replays what was not yet written to the tables.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// How it is asked to end, and how long it may take: cut the sessions and write everything; write nothing; at once.
const WAYS_TO_END: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(30)),
    (Signal::QUIT, Duration::from_secs(5)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// What differs from PostgreSQL's defaults, or must not differ from them. Given on the command line, so that the
/// cluster follows this version of the program, and no edited file can switch durability off.
const SETTINGS: [&str; 16] = [
    "listen_addresses=",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "autovacuum=on",
    // The views are updated all the time; their tables are small, so look after them often.
    "autovacuum_naptime=15s",
    "shared_buffers=256MB",
    "max_wal_size=2GB",
    "wal_compression=on",
    "max_connections=64",
    "random_page_cost=1.1",
    "jit=off",
    "log_checkpoints=off",
    "log_line_prefix=%m [%p] ",
    "log_timezone=UTC",
    "timezone=UTC",
];

/// The command that runs the server of `place`. The system interrupts the server when the thread that starts it ends.
pub(super) fn command(
    binaries: &Binaries,
    account: &Account,
    place: &Place,
) -> Result<Command, ClusterError> {
    let log = log_file(&place.log).doing(format!("opening {}", place.log.display()))?;
    let errors = log.try_clone().doing(format!("opening {}", place.log.display()))?;
    let mut command = account.command("setpriv", &place.cluster);
    command.args(["--pdeathsig", "INT", "--"]).arg(binaries.path("postgres")).arg("-D").arg(&place.cluster);
    for setting in SETTINGS {
        command.arg("-c").arg(setting);
    }
    command.arg("-c").arg(format!("unix_socket_directories={}", place.sockets.display()));
    // Ctrl-C goes to the whole process group; this one ends last, when everybody has left it.
    command.process_group(0).stdout(log).stderr(errors);
    Ok(command)
}

fn log_file(path: &Path) -> io::Result<std::fs::File> {
    // The log of the run before says why that one ended, if it did.
    match std::fs::rename(path, path.with_added_extension("old")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// The running server. Dropping it asks the server to end.
#[derive(Debug)]
pub(super) struct Postmaster {
    /// A signal sent through it cannot reach another process that got the same id later.
    process: OwnedFd,
    end: watch::Receiver<Option<String>>,
}

impl Postmaster {
    /// Starts it from a thread that stays until it ends: see [`command`].
    pub(super) async fn start(command: Command) -> io::Result<Self> {
        let (started, starting) = oneshot::channel();
        std::thread::Builder::new().name("postgres".to_owned()).spawn(move || live_with(command, started))?;
        starting.await.map_err(io::Error::other)?
    }

    /// Waits until it takes connections.
    pub(super) async fn ready(&self, place: &Place) -> Result<(), ClusterError> {
        let status = place.cluster.join("postmaster.pid");
        let ready = async {
            while !is_ready(&status) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            how = self.ended() => Err(ClusterError::EndedEarly { how, log: place.log.clone() }),
            waited = timeout(READY_WITHIN, ready) => waited.map_err(|_| ClusterError::NotReady {
                waited_secs: READY_WITHIN.as_secs(),
                log: place.log.clone(),
            }),
        }
    }

    /// Waits until it ends, and tells how.
    pub(super) async fn ended(&self) -> String {
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|how| how.clone()).unwrap_or_else(|| "was lost".to_owned())
    }

    /// Ends it, in an orderly way if that does not take for ever.
    pub(super) async fn stop(&self) {
        for (signal, patience) in WAYS_TO_END {
            self.signal(signal);
            if timeout(patience, self.ended()).await.is_ok() {
                return;
            }
            tracing::warn!(?signal, waited_secs = patience.as_secs(), "PostgreSQL did not end");
        }
    }

    fn signal(&self, signal: Signal) {
        // It fails only if the process has ended, which is what a signal is sent for.
        let _ = pidfd_send_signal(&self.process, signal);
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}

/// Starts the server, hands it to whoever waits for `started`, and stays until it ends.
fn live_with(mut command: Command, started: oneshot::Sender<io::Result<Postmaster>>) {
    let (ending, end) = watch::channel(None);
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::other("the program setpriv is not installed; install the package util-linux")
        }
        _ => error,
    });
    match child.and_then(with_handle) {
        Ok((mut child, process)) => {
            // If nobody waits any more, dropping what was not received asks the server to end.
            drop(started.send(Ok(Postmaster { process, end })));
            let how =
                child.wait().map_or_else(|error| error.to_string(), |status| format!("ended ({status})"));
            ending.send_replace(Some(how));
        }
        Err(error) => drop(started.send(Err(error))),
    }
}

fn with_handle(mut child: Child) -> io::Result<(Child, OwnedFd)> {
    match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        Ok(process) => Ok((child, process)),
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(error.into())
        }
    }
}

/// The eighth line of the server's status file says so.
fn is_ready(status: &Path) -> bool {
    std::fs::read_to_string(status)
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
}
