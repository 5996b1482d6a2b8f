//! The directory of one test: data, logs, and every process that lives in it.

use crate::eventually;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// How much of each log a failed test shows, in lines.
const TAIL: usize = 60;

/// A directory that goes away with the test, and takes every process with it that has its working directory in it.
///
/// By their working directory those are found, too, that no test started itself, such as the backends of PostgreSQL.
#[derive(Debug)]
pub struct Place {
    dir: TempDir,
    started: AtomicUsize,
}

impl Place {
    /// An empty place. Others may enter it: PostgreSQL does not run as root, even if the tests do.
    ///
    /// # Panics
    /// When the temporary directory cannot be written.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let dir = TempDir::with_prefix("bookstock-e2e-").unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        Self { dir, started: AtomicUsize::new(0) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The processes that live here, or in `part` of it.
    ///
    /// # Panics
    /// When there is no /proc.
    #[must_use]
    pub fn inhabitants(&self, part: &str) -> Vec<Pid> {
        let part = self.path().join(part);
        let lives_here =
            |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|home| home.starts_with(&part));
        let names =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| name.parse().ok()).filter(lives_here).filter_map(Pid::from_raw).collect()
    }

    /// Sends `signal` to every process that lives in `part`. Who went meanwhile is no error.
    pub fn signal(&self, part: &str, signal: Signal) {
        for pid in self.inhabitants(part) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Freezes every process that lives in `part`: its connections stay open and nothing answers.
    pub async fn freeze(&self, part: &str) {
        freeze(|| self.inhabitants(part)).await;
    }

    /// The file that the next process called `name` writes `what` to.
    pub(crate) fn log(&self, name: &str, what: &str) -> PathBuf {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        self.path().join("logs").join(format!("{number:02}-{name}.{what}"))
    }

    fn show_logs(&self) {
        let mut logs: Vec<_> =
            fs::read_dir(self.path().join("logs")).unwrap().map(|entry| entry.unwrap().path()).collect();
        logs.sort();
        // The launcher's own PostgreSQL logs into the data directory.
        logs.push(self.path().join("data/postgres.log"));
        for log in logs {
            let Ok(bytes) = fs::read(&log) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            let name = log.file_name().unwrap().to_string_lossy();
            eprintln!("---- {name}, the last of {} lines", lines.len());
            for line in &lines[lines.len().saturating_sub(TAIL)..] {
                eprintln!("{line}");
            }
        }
    }
}

/// Stops processes in their tracks, and waits until they stand still: on a busy machine some of their threads go on for
/// a while after the signal.
pub(crate) async fn freeze(processes: impl Fn() -> Vec<Pid>) {
    eventually("every thread stands still", async || {
        let moving: Vec<Pid> = processes().into_iter().filter(|pid| !stands_still(*pid)).collect();
        for pid in &moving {
            let _ = kill_process(*pid, Signal::STOP);
        }
        if moving.is_empty() { Ok(()) } else { Err(format!("{moving:?} move")) }
    })
    .await;
}

fn stands_still(process: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().filter_map(Result::ok);
    let mut states = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    // The state follows the name, which is in parentheses and may have any in it.
    states.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')))
}

impl Drop for Place {
    fn drop(&mut self) {
        // Again and again: PostgreSQL starts backends while it is being killed.
        while !self.inhabitants("").is_empty() {
            self.signal("", Signal::KILL);
        }
        if std::thread::panicking() {
            self.show_logs();
        }
    }
}
