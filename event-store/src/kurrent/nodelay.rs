//! `TCP_NODELAY` on our connections to the store, set from outside because the client offers no way to (ADR 0003).
//!
//! Without it the kernel holds back the second small packet of each call until the server acknowledges the first one,
//! which servers do after 40 ms.

#![allow(
    unsafe_code,
    reason = "borrowing a descriptor by its number is the only way to the client's sockets: ADR 0003"
)]

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A scan of a process with ten thousand open files takes milliseconds, so scans keep this distance.
const BETWEEN_SCANS: Duration = Duration::from_millis(100);

/// Finds the connections to the store among the process's open files.
pub(super) struct Nodelay {
    search: Mutex<Search>,
}

struct Search {
    /// Where the store listens. Ports only: names change their addresses and a cluster tells other ones than we were
    /// given, while setting the option on a stranger's connection does no harm.
    ports: BTreeSet<u16>,
    last: Option<Instant>,
}

impl Nodelay {
    pub(super) fn new(ports: impl IntoIterator<Item = u16>) -> Self {
        Self { search: Mutex::new(Search { ports: ports.into_iter().collect(), last: None }) }
    }

    /// The store also listens here.
    pub(super) fn add_port(&self, port: u16) {
        self.search.lock().unwrap_or_else(PoisonError::into_inner).ports.insert(port);
    }

    /// Sets the option on every connection to the store, unless that was done a moment ago or is being done now.
    pub(super) fn set(&self) {
        let Ok(mut search) = self.search.try_lock() else { return };
        if search.last.is_some_and(|last| last.elapsed() < BETWEEN_SCANS) {
            return;
        }
        search.last = Some(Instant::now());
        match set_on_connections_to(&search.ports) {
            Ok(0) => {}
            Ok(connections) => {
                tracing::debug!(connections, "TCP_NODELAY set on connections to the event store");
            }
            Err(error) => {
                tracing::debug!(%error, "open files cannot be listed, so each call may take 40 ms more");
            }
        }
    }
}

/// Sets the option on each socket of this process whose peer has one of `ports`, and counts those that lacked it.
#[cfg(target_os = "linux")]
fn set_on_connections_to(ports: &BTreeSet<u16>) -> io::Result<usize> {
    use std::os::fd::{BorrowedFd, RawFd};

    let mut connections = 0;
    for file in std::fs::read_dir("/proc/self/fd")? {
        let Some(fd) = file?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) else {
            continue;
        };
        // SAFETY: `fd` is not -1, and we neither close it nor keep it. Its owner may close it while we look, and the
        // number may come to mean another file. That cannot break memory: each call below hands the bare number to
        // the kernel, which answers with an error if it is closed or no TCP socket; and if it has become another TCP
        // socket in between, that one sends small packets without delay, which changes no byte of what it sends.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = socket2::SockRef::from(&borrowed);
        let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
        if peer.is_some_and(|peer| ports.contains(&peer.port()))
            && socket.tcp_nodelay().is_ok_and(|set| !set)
            && socket.set_tcp_nodelay(true).is_ok()
        {
            connections += 1;
        }
    }
    Ok(connections)
}

/// Other systems do not list a process's open files in this way.
#[cfg(not(target_os = "linux"))]
fn set_on_connections_to(_: &BTreeSet<u16>) -> io::Result<usize> {
    Ok(0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn connections_to_the_store_get_the_option_and_others_do_not() {
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let to_store = TcpStream::connect(store.local_addr().unwrap()).unwrap();
        let to_other = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let ports = BTreeSet::from([store.local_addr().unwrap().port()]);

        assert_eq!(set_on_connections_to(&ports).unwrap(), 1);

        assert!(to_store.nodelay().unwrap() && !to_other.nodelay().unwrap());
        assert_eq!(set_on_connections_to(&ports).unwrap(), 0, "it is set already");
    }

    #[test]
    fn a_second_scan_within_a_moment_is_left_out() {
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        let nodelay = Nodelay::new([store.local_addr().unwrap().port()]);
        let first = TcpStream::connect(store.local_addr().unwrap()).unwrap();
        nodelay.set();
        let second = TcpStream::connect(store.local_addr().unwrap()).unwrap();
        nodelay.set();
        assert!(first.nodelay().unwrap());
        assert!(!second.nodelay().unwrap());
    }
}
