//! The programs that are measured, as processes.

use crate::cpu::Server;
use crate::memory::peak_mib;
use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long a program may take until it is ready, or until it has stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at meanwhile.
const GLANCE: Duration = Duration::from_millis(2);

/// A running program. Killed when dropped; [`Process::stop`] is the kind way.
pub(crate) struct Process {
    server: Server,
    child: Child,
    output: PathBuf,
    log: PathBuf,
}

/// The program of ours called `name`: it was built together with this one.
pub(crate) fn built(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(
        path.is_file(),
        "{} is missing; build everything that is measured with `cargo build --release`",
        path.display()
    );
    Ok(path)
}

impl Process {
    /// Starts `program`, in reports called `name`; what it says goes to files in `dir`. None of the variables that
    /// configure bookstock reaches it from outside.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        Self::start_with(None, name, program, arguments, dir)
    }

    /// The same, with a variable set for it.
    pub(crate) fn start_with(
        variable: Option<(&str, &str)>,
        name: &'static str,
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        let (output, log) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.log")));
        let mut command = Command::new(program);
        for variable in ["DATABASE_URL", "READ_DATABASE_URL", "EVENT_STORE_URL", "NAME"] {
            command.env_remove(variable);
        }
        let child = command
            .args(arguments)
            .envs(variable)
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let pid = child.id().context("a process that was just started has an id")?;
        Ok(Self { server: Server { name, pid }, child, output, log })
    }

    pub(crate) fn server(&self) -> Server {
        self.server
    }

    /// Waits until `ready` finds what it looks for. It ends with an error, and with what the program said, when the
    /// program does, or after a minute.
    pub(crate) async fn until<T>(&mut self, mut ready: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = ready() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended before it was ready ({status}): {}", self.server.name, self.said());
            }
            ensure!(
                Instant::now() < deadline,
                "{} is not ready after a minute: {}",
                self.server.name,
                self.said()
            );
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until it says where it listens.
    pub(crate) async fn listening(&mut self) -> anyhow::Result<SocketAddr> {
        let output = self.output.clone();
        self.until(|| address(&fs::read_to_string(&output).ok()?)).await
    }

    /// Lets it do nothing any more: its connections stay open, and nothing answers.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.server.pid)
            .ok()
            .and_then(Pid::from_raw)
            .context("a process id is positive")?;
        kill_process(pid, signal).with_context(|| format!("{} had ended: {}", self.server.name, self.said()))
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                ensure!(
                    status.success(),
                    "{} did not stop well ({status}): {}",
                    self.server.name,
                    self.said()
                );
                Ok(())
            }
            Err(_) => bail!("{} did not stop within a minute: {}", self.server.name, self.said()),
        }
    }

    /// Waits until it has ended by itself, and well; answers the most memory that it has had, in MiB.
    pub(crate) async fn end(mut self) -> anyhow::Result<f64> {
        let mut peak = 0.0;
        loop {
            // Once it has ended, there is nothing to read any more.
            peak = peak_mib(self.server.pid).unwrap_or(peak);
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{} failed ({status}): {}", self.server.name, self.said());
                return Ok(peak);
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// The end of what it said on standard error.
    fn said(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let end = log.len().saturating_sub(2000);
        String::from_utf8_lossy(&log[end..]).into_owned()
    }
}

/// The address in a line such as `event-store-server listening on http://127.0.0.1:2113`.
fn address(output: &str) -> Option<SocketAddr> {
    let complete = &output[..output.rfind('\n')?];
    let (_, place) = complete.lines().find_map(|line| line.split_once(" listening on "))?;
    place.trim_start_matches("http://").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_once_its_line_is_complete() {
        let addr = Some("127.0.0.1:8087".parse().unwrap());
        assert_eq!(address("projector listening on http://127.0.0.1:8087\n"), addr);
        assert_eq!(address("event-store-server listening on 127.0.0.1:8087\nmore"), addr);
        assert_eq!(address("projector listening on http://127.0.0.1:80"), None);
    }

    #[tokio::test]
    async fn a_program_that_ends_too_early_tells_why() {
        let dir = tempfile::tempdir().unwrap();
        let arguments = ["-c", "echo no port >&2; exit 3"];
        let mut process = Process::start("sh", Path::new("/bin/sh"), arguments, dir.path()).unwrap();
        let error = process.listening().await.unwrap_err().to_string();
        assert!(error.contains("no port") && error.contains('3'), "{error}");
    }
}
