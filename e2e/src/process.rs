//! One process under test.

use crate::place::freeze;
use crate::{Place, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Display;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A process that lives in a [`Place`] and logs there. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// How a process ended, and all it said.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ended {
    /// The number behind `what` in a summary on standard output, such as `booked   10,000`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn count(&self, what: &str) -> u64 {
        let rest = self.out.lines().find_map(|line| line.trim().strip_prefix(what));
        let number = rest.and_then(|rest| rest.split_whitespace().next()?.replace(',', "").parse().ok());
        number.unwrap_or_else(|| panic!("no {what:?} in {self:?}"))
    }
}

impl Process {
    /// Starts `command` in `place`; the logs are named after `name`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(place: &Place, name: &str, command: &mut Command) -> Self {
        let (out, err) = (place.log(name, "out"), place.log(name, "err"));
        let child = command
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, out, err }
    }

    /// The addresses that it says it listens on, when it has told `count` of them.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn listening(&mut self, count: usize) -> Vec<SocketAddr> {
        let what = format!("{} says where it listens", self.name);
        eventually(&what, async || {
            let running = self.is_running();
            let said = self.said();
            // A line is taken when it is whole.
            let told = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let addresses: Vec<SocketAddr> = told
                .filter_map(|line| {
                    line.trim().split_once(" listening on ")?.1.rsplit('/').next()?.parse().ok()
                })
                .collect();
            if addresses.len() >= count {
                return Ok(addresses);
            }
            assert!(running, "{} ended at its start: {said}", self.name);
            Err(format!("{said:?}, aside {:?}, {}", self.said_aside(), self.doing()))
        })
        .await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Ended {
        let what = format!("{} ends", self.name);
        let status =
            eventually(&what, async || self.child.try_wait().unwrap().ok_or_else(|| "it goes on".to_owned()))
                .await;
        Ended { code: status.code(), out: self.said(), err: self.said_aside() }
    }

    /// Whether it has not ended yet.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it wrote to standard output so far.
    ///
    /// # Panics
    /// When the log cannot be read.
    #[must_use]
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap()).into_owned()
    }

    /// What it wrote to standard error so far.
    ///
    /// # Panics
    /// When the log cannot be read.
    #[must_use]
    pub fn said_aside(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).unwrap()).into_owned()
    }

    /// What the system knows of it: its state, what it waits for in the kernel, and its processor time in hundredths of a
    /// second.
    fn doing(&self) -> String {
        let told = |file| fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default();
        let stat = told("stat");
        // Behind the name, which is in parentheses and may be anything (proc(5)).
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let of = |field: usize| fields.get(field).copied().unwrap_or("?");
        format!("state {}, waits for {:?}, took {} + {}", of(0), told("wchan"), of(11), of(12))
    }

    /// The most memory that it has had in RAM, in bytes.
    ///
    /// # Panics
    /// When the system does not say.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> u64 {
        peak_memory_bytes(self.child.id())
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Freezes it: its connections stay open and nothing answers.
    pub async fn freeze(&self) {
        freeze(|| vec![Pid::from_child(&self.child)]).await;
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it as a power cut would.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The most memory that a process has had in RAM, in bytes.
pub(crate) fn peak_memory_bytes(pid: impl Display) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
