//! The command side as the program it is, with metrics and logs of its own.

use crate::support::{PATIENCE, Site, Store};
use serde_json::Value;
use std::fs::File;
use std::ops::Deref;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A running one.
pub(crate) struct Program {
    site: Site,
    grpc: String,
    process: Child,
    dir: TempDir,
}

/// What it says on standard error, in its directory.
const LOG: &str = "log";

impl Program {
    /// Starts one on `store`, with these `arguments` besides. It is patient with its store unless they say otherwise.
    pub(crate) async fn start(store: &Store, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = File::create(dir.path().join(LOG)).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_command-api"))
            .args(["--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"])
            .args(["--event-store-url", &store.url()])
            .args(arguments)
            .env("STORE_TIMEOUT_MS", "19000")
            .env("LOG_FORMAT", "json")
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut address = async |name: &str| loop {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("it starts").unwrap().unwrap();
            // As JSON, like all that it logs.
            let line: Value = serde_json::from_str(&line).unwrap();
            if let Some((_, address)) = line["message"].as_str().unwrap().split_once(name) {
                break address.to_owned();
            }
        };
        let http = address("command-api listening on http://").await;
        let grpc = address("(gRPC) listening on ").await;
        Self { site: Site::at(http.parse().unwrap()), grpc, process, dir }
    }

    /// Where it listens for gRPC.
    pub(crate) fn grpc(&self) -> &str {
        &self.grpc
    }

    pub(crate) async fn terminate(&self) {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join(LOG)).unwrap()
    }

    /// What it had logged when it had ended well.
    pub(crate) async fn ended(mut self) -> String {
        let status = timeout(PATIENCE, self.process.wait()).await.expect("it ends").unwrap();
        assert!(status.success(), "{status}: {}", self.log());
        self.log()
    }

    /// The value of a metric, by its name and labels as they are shown; 0 as long as it is not there.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let shown = self.get("/metrics").await.text;
        let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

impl Deref for Program {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

/// Whoever looks for the cause of a failure finds what it said.
impl Drop for Program {
    #[expect(clippy::print_stdout, reason = "a failed test tells there")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the program said:\n{}", self.log());
        }
    }
}
