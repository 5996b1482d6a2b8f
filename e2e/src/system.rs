//! `bookstock up`: the whole system, started by one command.

use crate::{Ended, PATIENT_MS, Place, Process, Site, command, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::sync::Arc;

/// Where in its place the system keeps its data.
const DATA: &str = "data";

/// The flags that say where each part listens, and what `bookstock.json` calls the part.
const LISTENERS: [(&str, &str); 7] = [
    ("--gateway", "gateway"),
    ("--command-api", "commandApi"),
    ("--grpc", "grpc"),
    ("--query-api", "queryApi"),
    ("--admin", "admin"),
    ("--projector", "projector"),
    ("--event-store", "eventStore"),
];

/// A running system on embedded defaults and free ports.
#[derive(Debug)]
pub struct System {
    /// The directory of the test.
    pub place: Arc<Place>,
    settings: Vec<(&'static str, String)>,
    launcher: Process,
    addresses: Value,
}

impl System {
    /// Starts a new one.
    pub async fn start() -> Self {
        Self::start_with(Arc::new(Place::new()), &[]).await
    }

    /// Starts a new one in `place` with these settings in its environment.
    pub async fn start_with(place: Arc<Place>, settings: &[(&'static str, &str)]) -> Self {
        let settings: Vec<_> = settings.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        let (launcher, addresses) = spawn(&place, Self::up(&place).envs(settings.clone())).await;
        Self { place, settings, launcher, addresses }
    }

    /// The command that starts a system on the data of `place`, on free ports.
    #[must_use]
    pub fn up(place: &Place) -> Command {
        Self::up_on(place, |_| "127.0.0.1:0".to_owned())
    }

    /// The same, each part on the address that `address` says.
    #[must_use]
    pub fn up_on(place: &Place, address: impl Fn(&str) -> String) -> Command {
        let mut up = command("bookstock");
        // The socket of PostgreSQL goes away with the place, too.
        up.env("TMPDIR", place.path());
        // On a machine with too much to do a store may be slow; that is not what these tests are about.
        up.env("STORE_TIMEOUT_MS", PATIENT_MS);
        up.arg("up").arg("--data-dir").arg(place.path().join(DATA));
        for (flag, part) in LISTENERS {
            up.args([flag, &address(part)]);
        }
        up
    }

    /// What `bookstock.json` says of `part`.
    ///
    /// # Panics
    /// When it says nothing.
    #[must_use]
    pub fn address(&self, part: &str) -> &str {
        self.addresses[part].as_str().unwrap_or_else(|| panic!("no {part} in {}", self.addresses))
    }

    /// Where `part` listens, such as `127.0.0.1:8088`.
    ///
    /// # Panics
    /// When `bookstock.json` does not say.
    #[must_use]
    pub fn listen(&self, part: &str) -> &str {
        let (_, rest) = self.address(part).split_once("://").unwrap();
        rest.split(['/', '?']).next().unwrap()
    }

    /// The one address with all routes.
    #[must_use]
    pub fn gateway(&self) -> Site {
        Site::new(self.address("gateway"))
    }

    /// The address for commands.
    #[must_use]
    pub fn command_api(&self) -> Site {
        Site::new(self.address("commandApi"))
    }

    /// The address for queries.
    #[must_use]
    pub fn query_api(&self) -> Site {
        Site::new(self.address("queryApi"))
    }

    /// The address for the admin list.
    #[must_use]
    pub fn admin(&self) -> Site {
        Site::new(self.address("admin"))
    }

    /// The address at which the projector tells of itself.
    #[must_use]
    pub fn projector(&self) -> Site {
        Site::new(self.address("projector"))
    }

    /// Kills the launcher and nothing else.
    pub fn kill_launcher(&mut self) {
        self.launcher.kill();
    }

    /// Freezes everything but its PostgreSQL.
    pub async fn freeze_launcher(&self) {
        self.launcher.freeze().await;
    }

    /// Lets it go on.
    pub fn thaw_launcher(&self) {
        self.launcher.thaw();
    }

    /// Kills its PostgreSQL.
    pub fn kill_postgres(&self) {
        self.place.signal(DATA, Signal::KILL);
    }

    /// Freezes its PostgreSQL.
    pub async fn freeze_postgres(&self) {
        self.place.freeze(DATA).await;
    }

    /// Lets its PostgreSQL go on.
    pub fn thaw_postgres(&self) {
        self.place.signal(DATA, Signal::CONT);
    }

    /// Ends everything in its place as a power cut would: the launcher, PostgreSQL, and who talks to them.
    pub async fn kill(&mut self) {
        self.launcher.kill();
        eventually("no process is left", async || {
            self.place.signal("", Signal::KILL);
            let left = self.place.inhabitants("");
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are")) }
        })
        .await;
    }

    /// Tells it to stop, and waits until it has ended.
    pub async fn stop(&mut self, signal: Signal) -> Ended {
        self.launcher.signal(signal);
        self.launcher.ended().await
    }

    /// Starts it again on the same data and the same addresses.
    pub async fn start_again(&mut self) {
        let mut up = Self::up_on(&self.place, |part| self.listen(part).to_owned());
        (self.launcher, self.addresses) = spawn(&self.place, up.envs(self.settings.clone())).await;
    }
}

async fn spawn(place: &Place, up: &mut Command) -> (Process, Value) {
    let file = place.path().join(DATA).join("bookstock.json");
    // What a killed system left behind says nothing of the one that starts now.
    let _ = fs::remove_file(&file);
    let mut launcher = Process::start(place, "bookstock", up);
    let addresses = eventually("the system is ready", async || {
        let running = launcher.is_running();
        let written = fs::read(&file).map_err(|error| error.to_string());
        assert!(running || written.is_ok(), "`bookstock up` ended at its start");
        serde_json::from_slice(&written?).map_err(|error| error.to_string())
    })
    .await;
    (launcher, addresses)
}
