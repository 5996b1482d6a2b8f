//! The event store server as a process of its own: on a directory of its own, killed at the end, its log shown when a
//! test fails.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::{env, fs, thread};
use tempfile::TempDir;

pub(crate) struct Server {
    process: Child,
    addr: SocketAddr,
    dir: TempDir,
}

impl Server {
    /// Starts a server with an empty log on any free port.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), flags)
    }

    /// Starts a server with an empty log on `addr`.
    pub(crate) fn start_on(addr: SocketAddr, flags: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let (process, addr) = spawn(&dir, addr, flags);
        Self { process, addr, dir }
    }

    /// Where this server listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The connection string of this server.
    pub(crate) fn url(&self) -> String {
        url(self.addr)
    }

    /// Ends the server without giving it time for anything.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks the server to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.process.wait().unwrap();
    }

    /// Starts the server again after [`Server::kill`] or [`Server::stop`], where it was, with the log it had.
    pub(crate) fn start_again(&mut self) {
        (self.process, self.addr) = spawn(&self.dir, self.addr, &[]);
    }

    /// Stops the server in its tracks; its connections stay.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        // The signal takes its time to reach all threads; until then the server may answer.
        let stopped = waitpid(Some(Pid::from_child(&self.process)), WaitOptions::UNTRACED).unwrap();
        assert!(stopped.is_some_and(|(_, status)| status.stopped()));
    }

    /// Lets a frozen server go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// What clients have sent and the server has not read.
    #[cfg(target_os = "linux")]
    pub(crate) fn unread_bytes(&self) -> usize {
        let port = format!(":{:04X}", self.addr.port());
        let connections = fs::read_to_string("/proc/net/tcp").unwrap();
        let unread = connections.lines().filter_map(|connection| {
            let mut fields = connection.split_whitespace().skip(1);
            let local = fields.next()?;
            let (_, unread) = fields.nth(2)?.split_once(':')?;
            local.ends_with(&port).then(|| usize::from_str_radix(unread, 16).unwrap())
        });
        unread.sum()
    }

    /// What the server tells of a metric without labels; 0 before it has anything to tell.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut connection = TcpStream::connect(self.addr).unwrap();
        connection.write_all(b"GET /metrics HTTP/1.1\r\nhost: store\r\nconnection: close\r\n\r\n").unwrap();
        let mut metrics = String::new();
        connection.read_to_string(&mut metrics).unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default();
            eprintln!("the log of the event store server:\n{log}");
        }
    }
}

pub(crate) fn url(addr: SocketAddr) -> String {
    format!("esdb://{addr}?tls=false")
}

fn spawn(dir: &TempDir, addr: SocketAddr, flags: &[&str]) -> (Child, SocketAddr) {
    let log = File::options().create(true).append(true).open(dir.path().join("server.log")).unwrap();
    let mut process = Command::new(binary())
        .arg("--data")
        .arg(dir.path().join("data"))
        .arg("--listen")
        .arg(addr.to_string())
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let Some(addr) = line.trim().strip_prefix("event-store-server listening on ") else {
        let log = fs::read_to_string(dir.path().join("server.log")).unwrap();
        panic!("the event store server said {line:?} instead of where it listens; its log:\n{log}");
    };
    (process, addr.parse().unwrap())
}

/// The server's binary, beside this test's own in the target directory: cargo does not build another package's
/// binaries for a test.
fn binary() -> PathBuf {
    if let Some(named) = env::var_os("EVENT_STORE_SERVER_BIN") {
        return named.into();
    }
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let binary = profile.join(format!("event-store-server{}", env::consts::EXE_SUFFIX));
    assert!(
        binary.exists(),
        "there is no {}: run `cargo build -p event-store-server` (with the same profile) first, or name a binary in \
         EVENT_STORE_SERVER_BIN",
        binary.display()
    );
    binary
}
