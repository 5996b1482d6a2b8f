//! A PostgreSQL cluster of a test's own, to be stopped, frozen and killed.

use crate::{Place, Process, eventually};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// Where in its place a cluster has its data and its socket. Its processes live in the data directory.
const HOME: &str = "postgres";

/// A running cluster, durable, reached through a socket in its place.
#[derive(Debug)]
pub struct Postgres {
    place: Arc<Place>,
    postmaster: Process,
}

impl Postgres {
    /// Makes a cluster in `place` and starts it.
    ///
    /// # Panics
    /// When PostgreSQL is not installed, or refuses.
    pub async fn start(place: &Arc<Place>) -> Self {
        let home = place.path().join(HOME);
        fs::create_dir(&home).unwrap();
        if let Some((uid, gid)) = stand_in_for_root() {
            chown(&home, Some(uid), Some(gid)).unwrap();
        }
        let mut initdb = program("initdb");
        initdb
            .args(["--no-locale", "-E", "UTF8", "-U", "postgres", "-A", "trust", "-D"])
            .arg(home.join("data"));
        let made = Process::start(place, "initdb", &mut initdb).ended().await;
        assert_eq!(made.code, Some(0), "{made:?}");
        let cluster = Self { place: Arc::clone(place), postmaster: spawn(place) };
        cluster.answers().await;
        cluster
    }

    /// Its address, as its superuser.
    #[must_use]
    pub fn url(&self) -> String {
        let socket = self.place.path().join(HOME);
        format!("postgres://postgres@{}/postgres", socket.display().to_string().replace('/', "%2F"))
    }

    /// Stops it as an operator would.
    ///
    /// # Panics
    /// When it does not stop well.
    pub async fn stop(&mut self) {
        self.postmaster.signal(Signal::INT);
        let ended = self.postmaster.ended().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    /// Ends all its processes as a power cut would.
    ///
    /// # Panics
    /// When it was not running.
    pub async fn kill(&mut self) {
        self.postmaster.kill();
        eventually("all of PostgreSQL is gone", async || {
            self.place.signal(HOME, Signal::KILL);
            let left = self.place.inhabitants(HOME);
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
        // It belongs to a process that is gone; another one may have got its number by now.
        let _ = fs::remove_file(self.place.path().join(HOME).join("data/postmaster.pid"));
    }

    /// Starts it again on the same data.
    pub async fn start_again(&mut self) {
        self.postmaster = spawn(&self.place);
        self.answers().await;
    }

    /// Freezes all its processes: connections stay open and nothing answers.
    pub async fn freeze(&self) {
        self.place.freeze(HOME).await;
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.place.signal(HOME, Signal::CONT);
    }

    async fn answers(&self) {
        let url = self.url();
        eventually("PostgreSQL answers", async || {
            let answer = connect(&url).await?.batch_execute("SELECT 1").await;
            answer.map_err(|error| error.to_string())
        })
        .await;
    }
}

/// Connects to the database at `url`.
///
/// # Errors
/// What PostgreSQL or the system says.
pub async fn connect(url: &str) -> Result<tokio_postgres::Client, String> {
    let connecting = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = connecting.map_err(|error| format!("{error:?}"))?;
    tokio::spawn(connection);
    Ok(client)
}

fn spawn(place: &Place) -> Process {
    let home = place.path().join(HOME);
    let mut postgres = program("postgres");
    postgres.arg("-D").arg(home.join("data"));
    postgres
        .args(["-c", "listen_addresses=", "-c"])
        .arg(format!("unix_socket_directories={}", home.display()));
    Process::start(place, "postgres", &mut postgres)
}

/// A command that runs a server program of PostgreSQL, not as root and without the environment's own ideas.
fn program(name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("PG") || variable.to_string_lossy().starts_with("LC_") {
            command.env_remove(variable);
        }
    }
    if let Some((uid, gid)) = stand_in_for_root() {
        command.uid(uid).gid(gid);
    }
    command
}

/// The newest of the installed server programs.
fn programs() -> PathBuf {
    let version = |bin: &PathBuf| -> Option<u32> { bin.parent()?.file_name()?.to_str()?.parse().ok() };
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let installed =
        debian.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    let configured = || {
        let told = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(told.stdout).ok()?.trim()))
    };
    installed
        .max_by_key(version)
        .or_else(configured)
        .expect("these tests need PostgreSQL: install its server")
}

/// The user and group that PostgreSQL runs as when the tests run as root: it refuses root.
fn stand_in_for_root() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect()).find(|user: &Vec<&str>| user[0] == name)?;
        Some((fields[2].parse().ok()?, fields[3].parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("there is a user other than root"))
}
