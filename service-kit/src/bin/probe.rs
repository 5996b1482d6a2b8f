//! `probe [URL]`: whether a service says that it is well, for health checks in images that have no other programs.
#![forbid(unsafe_code)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

/// How long the service may take to connect, and for each part of its answer.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).or_else(|| std::env::var("PROBE_URL").ok());
    let Some(url) = asked else {
        tell("which service? give its address, such as http://127.0.0.1:8085/readyz, or set PROBE_URL");
        return ExitCode::from(2);
    };
    match status(&url) {
        Ok(status) if status.starts_with('2') => ExitCode::SUCCESS,
        Ok(status) => {
            tell(&format!("{url} answers {status}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            tell(&format!("{url}: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The status of what `url` answers, such as `200 OK`.
fn status(url: &str) -> std::io::Result<String> {
    let wrong = |why: &str| std::io::Error::other(why.to_owned());
    let rest = url.strip_prefix("http://").ok_or_else(|| wrong("only http:// addresses can be probed"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, "livez"));
    let addr = host.to_socket_addrs()?.next().ok_or_else(|| wrong("the host has no address"))?;
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let status = line.trim_end().split_once(' ').map(|(_, status)| status.to_owned());
    status.ok_or_else(|| wrong("this is not HTTP"))
}

/// If standard error is gone, the exit code still tells.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "probe: {what}");
}
