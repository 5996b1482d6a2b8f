//! The server as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_event-store-server");

/// The server as a process. Dropping it kills it, as `kill -9` does.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) addr: SocketAddr,
}

impl Process {
    /// Starts it on a free port, and waits until it listens.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::start_by(&mut Command::new(PROGRAM), dir)
    }

    /// The same, started by `command`, which may be a program around it.
    pub(crate) fn start_by(command: &mut Command, dir: &Path) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(dir)
            .env("RUST_LOG", "off")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim_end().strip_prefix("event-store-server listening on ");
        Self { addr: addr.expect("it says where it listens").parse().unwrap(), child }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
