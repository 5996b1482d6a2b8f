//! `topology up`: the production topology from plain processes, as `cargo xtask topology` starts it.

use crate::binaries::{binary, undisturbed};
use crate::process::peak_memory_bytes;
use crate::{Ended, PATIENT_MS, Place, Process, Site, command, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Where in its place it keeps its data.
const DATA: &str = "topology";

/// Where PostgreSQL keeps its own.
const POSTGRES: &str = "topology/postgres";

/// A running topology on free ports.
#[derive(Debug)]
pub struct PlainTopology {
    place: Arc<Place>,
    supervisor: Process,
    settings: Vec<(&'static str, String)>,
}

impl PlainTopology {
    /// Starts one, and waits until all its parts are ready.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with these `settings` in its environment.
    pub async fn start_with(settings: &[(&'static str, String)]) -> Self {
        Self::start_in(Arc::new(Place::new()), settings).await
    }

    /// The same, in `place`.
    pub async fn start_in(place: Arc<Place>, settings: &[(&'static str, String)]) -> Self {
        let supervisor = spawn(&place, command("topology").arg("up"), settings).await;
        Self { place, supervisor, settings: settings.to_vec() }
    }

    /// The same, by a command that a document tells, as somebody types it who is in the checkout and has built everything.
    pub async fn start_as_told(place: Arc<Place>, told: &str, settings: &[(&'static str, String)]) -> Self {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let mut shell = Command::new("bash");
        undisturbed(&mut shell);
        shell.env("BOOKSTOCK_BIN_DIR", binary("topology").parent().unwrap());
        shell.arg("-c").arg(format!("cd \"$0\" && exec {told} \"$@\"")).args(checkout);
        let supervisor = spawn(&place, &mut shell, settings).await;
        Self { place, supervisor, settings: settings.to_vec() }
    }

    /// Kills what watches the parts, and nothing else, as a power cut would.
    pub fn kill(&mut self) {
        self.supervisor.kill();
    }

    /// Starts it again on the same data.
    pub async fn start_again(&mut self) {
        self.supervisor = spawn(&self.place, command("topology").arg("up"), &self.settings).await;
    }

    /// Tells it to stop, and waits until it has ended.
    pub async fn stop(&mut self) -> Ended {
        self.supervisor.signal(Signal::INT);
        self.supervisor.ended().await
    }

    /// Freezes what watches the parts: nobody starts again what ends, and nobody kills what hangs.
    pub async fn look_away(&self) {
        self.supervisor.freeze().await;
    }

    /// Lets it watch again: whatever ended meanwhile is started.
    pub fn look_again(&self) {
        self.supervisor.thaw();
    }

    /// Freezes PostgreSQL: its connections stay open and nothing answers.
    pub async fn freeze_postgres(&self) {
        self.place.freeze(POSTGRES).await;
    }

    /// Lets it go on.
    pub fn thaw_postgres(&self) {
        self.place.signal(POSTGRES, Signal::CONT);
    }

    /// Kills PostgreSQL, as a power cut would.
    pub fn kill_postgres(&self) {
        self.place.signal(POSTGRES, Signal::KILL);
    }

    /// What is known of a part: its `address`, `pid` and `state`.
    ///
    /// # Panics
    /// When there is no such part.
    #[must_use]
    pub fn part(&self, name: &str) -> Value {
        let part = book(&self.place).unwrap()[name].clone();
        assert!(part.is_object(), "there is no {name}");
        part
    }

    /// A part, for HTTP.
    ///
    /// # Panics
    /// When there is no such part.
    #[must_use]
    pub fn site(&self, name: &str) -> Site {
        Site::new(self.part(name)["address"].as_str().unwrap())
    }

    /// What Prometheus answers to a query.
    ///
    /// # Errors
    /// What it says instead.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn measured(&self, query: &str) -> Result<Value, String> {
        let url = self.site("prometheus").url("/api/v1/query");
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        Ok(self.site("prometheus").try_get(&path).await?.wanted(200)?["data"]["result"].clone())
    }

    /// Waits until Prometheus has metrics of every service.
    pub async fn seen_by_prometheus(&self) {
        eventually("Prometheus sees every service", async || {
            let up = self.measured("count(up == 1)").await?;
            if up[0]["value"][1] == "8" { Ok(()) } else { Err(up.to_string()) }
        })
        .await;
    }

    /// What a part has logged so far.
    ///
    /// # Panics
    /// When it has no log.
    #[must_use]
    pub fn log(&self, name: &str) -> String {
        let log = self.place.path().join(DATA).join("logs").join(format!("{name}.log"));
        String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned()
    }

    /// Sends a part's process a signal.
    ///
    /// # Panics
    /// When it has none.
    pub fn signal(&self, name: &str, signal: Signal) {
        let pid = self.part(name)["pid"].as_i64().unwrap();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    /// The most memory that a part has had in RAM, in bytes.
    #[must_use]
    pub fn peak_memory_bytes(&self, name: &str) -> u64 {
        peak_memory_bytes(&self.part(name)["pid"])
    }

    /// Every sync of the event store takes so much longer, until what this gives is dropped.
    ///
    /// # Panics
    /// When strace cannot be started.
    pub async fn slow_disk(&self, delay: Duration) -> Process {
        let pid = self.part("event-store")["pid"].to_string();
        let mut strace = Command::new("strace");
        strace.args(["--follow-forks", "--output=/dev/null", "--trace=fsync,fdatasync"]);
        strace.arg(format!("--inject=fsync,fdatasync:delay_enter={}ms", delay.as_millis()));
        let strace = Process::start(&self.place, "strace", strace.args(["--attach", &pid]));
        eventually("strace is attached", async || {
            let said = strace.said_aside();
            if said.contains("attached") { Ok(()) } else { Err(said) }
        })
        .await;
        strace
    }

    /// Waits until another process than `pid` is that part, and ready.
    pub async fn another(&self, name: &str, pid: &Value) {
        eventually(&format!("another {name} is ready"), async || {
            let part = book(&self.place)?[name].clone();
            if part["pid"] != *pid && part["state"] == "ready" { Ok(()) } else { Err(part.to_string()) }
        })
        .await;
    }

    /// Restarts every service, as `topology roll` does it, and tells how that ended.
    pub async fn roll(&self, more: &[&str]) -> Ended {
        self.run("roll", more).await
    }

    /// Backs up and restores beside it, as `topology drill` does it, and tells how that ended.
    pub async fn drill(&self, more: &[&str]) -> Ended {
        self.run("drill", more).await
    }

    /// Tries to start another one in the same directory, and tells how that ended.
    pub async fn up_once_more(&self) -> Ended {
        self.run("up", &["--free-ports"]).await
    }

    /// What it has told so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.supervisor.said()
    }

    async fn run(&self, name: &str, more: &[&str]) -> Ended {
        let mut topology = command("topology");
        topology.env("TMPDIR", self.place.path()).args([name, "--data-dir", DATA]).args(more);
        Process::start(&self.place, name, &mut topology).ended().await
    }

    /// The directory of the test.
    #[must_use]
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }
}

async fn spawn(place: &Place, up: &mut Command, settings: &[(&'static str, String)]) -> Process {
    // On a machine with too much to do a store may be slow; that is not what most tests are about.
    up.env("STORE_TIMEOUT_MS", PATIENT_MS);
    up.envs(settings.iter().map(|(name, value)| (name, value)));
    // The socket of PostgreSQL goes away with the place, too.
    up.env("TMPDIR", place.path()).args(["--free-ports", "--data-dir"]).arg(place.path().join(DATA));
    let mut supervisor = Process::start(place, "topology", up);
    eventually("every part of the topology is ready", async || {
        let said = supervisor.said();
        assert!(supervisor.is_running(), "`topology up` ended at its start: {said}");
        if said.contains("All parts are ready") { Ok(()) } else { Err(said) }
    })
    .await;
    supervisor
}

fn book(place: &Place) -> Result<Value, String> {
    let text = fs::read(place.path().join(DATA).join("topology.json")).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}
