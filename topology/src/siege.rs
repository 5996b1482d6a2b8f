//! siege, as the original was tried with: load on the gateway, and how many of its requests were answered.

use crate::book;
use crate::site::Site;
use crate::tell::tell;
use crate::tokens::write_for_us_alone;
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long it goes on before and after whatever is tried under it.
const LEAD: Duration = Duration::from_secs(2);

/// The load that something is tried under.
#[derive(clap::Args)]
pub(crate) struct Load {
    /// Let siege ask for so many things at once meanwhile, half of them commands, and print its report.
    #[arg(long, value_name = "USERS")]
    siege: Option<u16>,

    /// The token that siege shows, where the services ask for one: it has to allow `books:read` and `books:write`.
    #[arg(long, env = "SIEGE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    siege_token: Option<String>,
}

impl Load {
    /// Begins, if there is to be any.
    pub(crate) async fn begin(&self, site: &Site) -> anyhow::Result<Option<Siege>> {
        let Some(users) = self.siege else { return Ok(None) };
        let gateway = book::entry(site, "gateway")?.address;
        Ok(Some(Siege::lay(&site.made()?, &gateway, users, self.siege_token.as_deref()).await?))
    }
}

/// A siege that is under way.
pub(crate) struct Siege(Child);

impl Siege {
    /// Begins: `users` ask at once, and half of their requests are commands, for many books.
    async fn lay(dir: &Path, gateway: &str, users: u16, token: Option<&str>) -> anyhow::Result<Self> {
        let urls = dir.join("siege-urls.txt");
        let lines: String = (1..=50)
            .map(|book| {
                format!("{gateway}/books/{book}/warehousings POST {{\"qty\":1}}\n{gateway}/admins?size=20\n")
            })
            .collect();
        std::fs::write(&urls, lines).with_context(|| format!("writing {}", urls.display()))?;
        // Its own file, so that nobody's settings are read or written.
        let settings = dir.join("siege.conf");
        let mut told = format!(
            "limit = {}\nverbose = false\ncolor = off\njson_output = true\nlogging = false\n",
            users.max(255)
        );
        if let Some(token) = token {
            let _ = writeln!(told, "header = Authorization: Bearer {token}");
        }
        write_for_us_alone(&settings, &told).with_context(|| format!("writing {}", settings.display()))?;
        let mut siege = Command::new("siege");
        siege.args(["--internet", "--delay=0", "--content-type=application/json"]);
        siege.arg(format!("--concurrent={users}")).arg("--rc").arg(&settings).arg("--file").arg(&urls);
        siege.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let child = siege.spawn().context("siege cannot be started; as root: apt-get install siege")?;
        tokio::time::sleep(LEAD).await;
        Ok(Self(child))
    }

    /// Ends it as Ctrl-C does, tells its report, and gives the availability; an error if a request failed.
    pub(crate) async fn raise(self) -> anyhow::Result<String> {
        tokio::time::sleep(LEAD).await;
        if let Some(pid) = self.0.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            kill_process(pid, Signal::INT).context("siege cannot be told to stop")?;
        }
        let output = self.0.wait_with_output().await.context("waiting for siege")?;
        let report = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        tell(&report);
        let failed =
            number(&report, "failed_transactions").context("siege did not say how many requests failed")?;
        anyhow::ensure!(failed == 0.0, "{failed} requests failed");
        let availability = number(&report, "availability").context("siege did not say the availability")?;
        Ok(format!("availability {availability:.2} %"))
    }
}

/// What siege's report says of `name`.
fn number(report: &str, name: &str) -> Option<f64> {
    let line = report.lines().find(|line| line.trim_start().starts_with(&format!("\"{name}\"")))?;
    line.split(':').nth(1)?.trim().trim_end_matches(',').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn the_numbers_of_a_report_are_found() {
        let report = "{\t\"transactions\":\t\t\t       66131,\n\t\"availability\":\t\t\t      100.00,\n\t\"failed_transactions\":\t\t\t   2\n}";
        assert_eq!(number(report, "availability"), Some(100.0));
        assert_eq!(number(report, "failed_transactions"), Some(2.0));
        assert_eq!(number(report, "throughput"), None);
    }
}
