//! The server as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_event-store-server");

/// The server as a process. Dropping it kills it, as `kill -9` does.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) addr: SocketAddr,
}

/// It ended before it listened.
#[derive(Debug)]
pub(crate) struct NotListening;

impl Process {
    /// Starts it on a free port, and waits until it listens.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::start_by(&mut Command::new(PROGRAM), dir)
    }

    /// The same, started by `command`, which may be a program around it.
    pub(crate) fn start_by(command: &mut Command, dir: &Path) -> Self {
        Self::try_start_by(command, dir).expect("it says where it listens")
    }

    /// The same, if it comes so far.
    pub(crate) fn try_start_by(command: &mut Command, dir: &Path) -> Result<Self, NotListening> {
        Self::wait_for(command.args(["--listen", "127.0.0.1:0", "--data"]).arg(dir))
    }

    /// Starts it on a free port, where nothing says where the events are kept.
    pub(crate) fn start_without_data(command: &mut Command) -> Self {
        Self::start_as_it_is(command.args(["--listen", "127.0.0.1:0"]))
    }

    /// Starts it with what `command` says.
    pub(crate) fn start_as_it_is(command: &mut Command) -> Self {
        Self::wait_for(command).expect("it says where it listens")
    }

    fn wait_for(command: &mut Command) -> Result<Self, NotListening> {
        let mut child = command.env("RUST_LOG", "off").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        match line.trim_end().strip_prefix("event-store-server listening on ") {
            Some(addr) => Ok(Self { addr: addr.parse().unwrap(), child }),
            None => {
                child.wait().unwrap();
                Err(NotListening)
            }
        }
    }

    /// Status and body of `GET path`.
    pub(crate) async fn http(&self, path: &str) -> (u16, String) {
        http(self.addr, path).await
    }
}

/// Status and body of a plain `GET path`.
pub(crate) async fn http(addr: SocketAddr, path: &str) -> (u16, String) {
    let mut tcp = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// The most that a process has had in RAM, in bytes.
pub(crate) fn peak(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
