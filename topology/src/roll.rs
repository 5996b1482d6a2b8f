//! `roll`: restarts every service of a running topology, one by one, under load, and says what that cost.

use crate::book::{self, Entry, State};
use crate::parts::REPLICAS;
use crate::site::Site;
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long a part may take from being told to stop until its successor is ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(100);

/// How long siege goes on before the first and after the last restart.
const LEAD: Duration = Duration::from_secs(2);

/// Restart every service one by one.
#[derive(clap::Args)]
pub(crate) struct Roll {
    #[command(flatten)]
    site: Site,

    /// Let siege ask for so many things at once meanwhile, half of them commands, and print its report.
    #[arg(long, value_name = "USERS")]
    siege: Option<u16>,
}

/// Restarts them; an error if one does not come back, or if siege saw a request fail.
pub(crate) async fn run(roll: Roll) -> anyhow::Result<()> {
    let file = roll.site.book();
    let gateway = &entry(&file, "gateway")?.address;
    let load = match roll.siege {
        Some(users) => Some(siege(&roll.site.made()?, gateway, users)?),
        None => None,
    };
    if load.is_some() {
        tokio::time::sleep(LEAD).await;
    }
    for name in REPLICAS {
        let started = Instant::now();
        restart(&file, name).await?;
        tell(&format!("{name:<15} restarted in {:.1} s", started.elapsed().as_secs_f64()));
    }
    let Some(load) = load else { return Ok(()) };
    tokio::time::sleep(LEAD).await;
    let report = end(load).await?;
    tell(&report);
    let whole = report.contains("\"availability\":\t\t\t      100.00");
    let failed = failed_transactions(&report).context("siege did not say how many requests failed")?;
    anyhow::ensure!(failed == 0, "{failed} requests failed");
    tell(&format!("availability {}", if whole { "100.00 %" } else { "complete" }));
    Ok(())
}

async fn restart(file: &Path, name: &str) -> anyhow::Result<()> {
    let before = entry(file, name)?.pid.with_context(|| format!("{name} does not run"))?;
    let pid = Pid::from_raw(before.cast_signed()).context("the process id is none")?;
    kill_process(pid, Signal::TERM).with_context(|| format!("{name} cannot be told to stop"))?;
    let started = Instant::now();
    loop {
        let now = entry(file, name)?;
        if now.state == State::Ready && now.pid.is_some_and(|pid| pid != before) {
            return Ok(());
        }
        anyhow::ensure!(started.elapsed() < PATIENCE, "{name} did not come back: {now:?}");
        tokio::time::sleep(PERIOD).await;
    }
}

fn entry(file: &Path, name: &str) -> anyhow::Result<Entry> {
    book::read(file)?.remove(name).with_context(|| format!("{} does not tell of {name}", file.display()))
}

/// Starts siege, as the original was tried with: half of its requests are commands, for many books.
fn siege(dir: &Path, gateway: &str, users: u16) -> anyhow::Result<Child> {
    let urls = dir.join("siege-urls.txt");
    let lines: String = (1..=50)
        .map(|book| {
            format!("{gateway}/books/{book}/warehousings POST {{\"qty\":1}}\n{gateway}/admins?size=20\n")
        })
        .collect();
    std::fs::write(&urls, lines).with_context(|| format!("writing {}", urls.display()))?;
    // Its own file, so that nobody's settings are read or written.
    let settings = dir.join("siege.conf");
    let limit = format!(
        "limit = {}\nverbose = false\ncolor = off\njson_output = true\nlogging = false\n",
        users.max(255)
    );
    std::fs::write(&settings, limit).with_context(|| format!("writing {}", settings.display()))?;
    let mut siege = Command::new("siege");
    siege.args(["--internet", "--delay=0", "--content-type=application/json"]);
    siege.arg(format!("--concurrent={users}")).arg("--rc").arg(&settings).arg("--file").arg(&urls);
    siege.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    siege.spawn().context("siege cannot be started; as root: apt-get install siege")
}

/// Ends siege as Ctrl-C does, and gives its report.
async fn end(siege: Child) -> anyhow::Result<String> {
    if let Some(pid) = siege.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        kill_process(pid, Signal::INT).context("siege cannot be told to stop")?;
    }
    let output = siege.wait_with_output().await.context("waiting for siege")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn failed_transactions(report: &str) -> Option<u64> {
    let line = report.lines().find(|line| line.trim_start().starts_with("\"failed_transactions\""))?;
    line.split(':').nth(1)?.trim().trim_end_matches(',').parse().ok()
}

fn tell(line: &str) {
    // Where standard output is gone, the exit code still tells.
    let _ = writeln!(std::io::stdout(), "{line}");
}
