//! `drill`: a backup of the event store while it works, restored beside it, the read models made of that anew, and all of
//! it verified: whether the backups would do, and how long it would take.

use crate::parts::{free_address, ours};
use crate::siege::Load;
use crate::site::Site;
use crate::tell::tell;
use anyhow::Context as _;
use bookstock::postgres::PrivateCluster;
use service_kit::Lock;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long the restored store may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(20);

/// Back up the event store, restore it beside itself, rebuild the read models from it, and verify everything.
///
/// What runs goes on meanwhile, and is not touched. Everything that the drill makes is removed at its end.
#[derive(clap::Args)]
pub(crate) struct Drill {
    #[command(flatten)]
    site: Site,

    /// The data directory of the event store, if it is not the topology's.
    #[arg(long, value_name = "DIR")]
    events: Option<PathBuf>,

    /// Keep the backup, which then has proved to be a good one, as this file; it must not exist yet.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,

    #[command(flatten)]
    load: Load,
}

/// Drills; an error if any step fails, or if siege saw a request fail.
pub(crate) async fn run(drill: Drill) -> anyhow::Result<()> {
    let events = drill.events.clone().unwrap_or_else(|| drill.site.events());
    anyhow::ensure!(
        events.is_dir(),
        "there is no event store in {}; say where it keeps its data with --events",
        events.display()
    );
    let keep = drill.keep.as_deref().map(std::path::absolute).transpose().context("--keep")?;
    if let Some(keep) = &keep {
        anyhow::ensure!(!keep.exists(), "{} is there already", keep.display());
    }
    let dir = drill.site.made()?;
    let siege = drill.load.begin(&drill.site).await?;
    let place = Place::new(&dir)?;
    let begun = Instant::now();
    let drilled = place.drill(&events).await;
    if drilled.is_ok() {
        told("total", begun, "from the first step to the last");
    }
    let kept = match (&drilled, &keep) {
        (Ok(()), Some(keep)) => copy(&place.backup(), keep),
        _ => Ok(()),
    };
    place.remove();
    drilled.and(kept)?;
    if let Some(siege) = siege {
        tell(&siege.raise().await?);
    }
    Ok(())
}

/// Where a drill makes everything; one at a time.
struct Place {
    dir: PathBuf,
    _lock: Lock,
}

impl Place {
    /// An empty one, whatever an earlier drill left.
    fn new(site: &Path) -> anyhow::Result<Self> {
        let lock = site.join("drill.lock");
        let lock = Lock::acquire(&lock).with_context(|| format!("locking {}", lock.display()))?;
        let place = Self { dir: site.join("drill"), _lock: lock.context("another drill is under way here")? };
        place.remove();
        std::fs::create_dir(&place.dir).with_context(|| format!("making {}", place.dir.display()))?;
        Ok(place)
    }

    fn backup(&self) -> PathBuf {
        self.dir.join("backup.sqlite")
    }

    /// One step after the other, each with its time.
    async fn drill(&self, events: &Path) -> anyhow::Result<()> {
        let (backup, restored) = (self.backup(), self.dir.join("events"));
        let begun = Instant::now();
        let mut command = program("event-store-server")?;
        command.arg("backup").arg("--data").arg(events).arg("--to").arg(&backup);
        told("backup", begun, &said(command).await?);

        let begun = Instant::now();
        let mut command = program("event-store-server")?;
        command.arg("restore").arg("--data").arg(&restored).arg("--from").arg(&backup);
        told("restore", begun, &said(command).await?);

        let begun = Instant::now();
        let (_store, url) = self.serve(&restored).await?;
        told("event store", begun, &format!("the restored one answers at {url}"));

        let begun = Instant::now();
        let cluster = PrivateCluster::start(&self.dir).await?;
        told("postgresql", begun, "an empty one answers");
        let read_models = self.read_models(&url, &cluster.url()).await;
        cluster.stop().await;
        read_models
    }

    /// Starts a server of what was restored. It ends when what is returned is dropped.
    async fn serve(&self, data: &Path) -> anyhow::Result<(Child, String)> {
        let addr = free_address()?;
        let mut command = program("event-store-server")?;
        command.arg("--data").arg(data).arg("--listen").arg(addr.to_string());
        let mut server =
            command.stdout(Stdio::null()).spawn().context("the restored store cannot be started")?;
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(addr).await.is_err() {
            let ended = server.try_wait().context("watching the restored store")?;
            anyhow::ensure!(ended.is_none(), "the restored store ended at its start");
            anyhow::ensure!(begun.elapsed() < PATIENCE, "the restored store does not answer");
            tokio::time::sleep(PERIOD).await;
        }
        Ok((server, format!("esdb://{addr}?tls=false")))
    }

    async fn read_models(&self, store: &str, database: &str) -> anyhow::Result<()> {
        for (step, name) in [("read models", "rebuild"), ("verify", "verify")] {
            let begun = Instant::now();
            let mut command = program("replay")?;
            command.arg(name).env("EVENT_STORE_URL", store).env("DATABASE_URL", database);
            let report = said(command).await?;
            told(step, begun, report.lines().next().unwrap_or_default());
        }
        Ok(())
    }

    /// With the cluster, which lies elsewhere where its user cannot enter this directory.
    fn remove(&self) {
        if let Ok(cluster) = self.dir.join("postgres").canonicalize() {
            let _ = std::fs::remove_dir_all(&cluster);
            if let Some(parent) =
                cluster.parent().filter(|parent| !cluster.starts_with(&self.dir) && parent.is_dir())
            {
                // It is empty but for the cluster.
                let _ = std::fs::remove_dir(parent);
            }
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// One of our programs, configured by its arguments alone.
fn program(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(ours(name)?);
    command.env_clear().envs(
        ["PATH", "HOME", "TMPDIR"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))),
    );
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Runs it, and gives what it said.
async fn said(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().await.context("a step of the drill cannot be started")?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    anyhow::ensure!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    Ok(said(&output.stdout))
}

/// When it returns, the copy is on disk. Under its name there is a whole one or none.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let new = to.with_added_extension("new");
    std::fs::copy(from, &new)
        .and_then(|_| File::open(&new)?.sync_all())
        .and_then(|()| std::fs::rename(&new, to))
        .and_then(|()| to.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all()))
        .with_context(|| format!("keeping the backup as {}", to.display()))
}

fn told(step: &str, begun: Instant, what: &str) {
    tell(&format!("{step:<12} {:>8.2} s  {what}", begun.elapsed().as_secs_f64()));
}
