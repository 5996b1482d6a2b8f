//! Whether the services ask for tokens, and how Prometheus, which asks all of them, gets its own.

use anyhow::Context as _;
use serde_json::{Value, json};
use service_kit::AuthSettings;
use service_kit::auth::Issuer;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How long the issuer may take to describe itself.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Without an issuer everything is open, on this machine alone.
#[derive(clap::Args)]
pub(crate) struct Tokens {
    #[command(flatten)]
    auth: AuthSettings,

    /// The client that Prometheus logs in as, where an issuer is given; it needs the scope `ops`.
    #[arg(long, env = "PROMETHEUS_CLIENT", value_name = "ID", default_value = "bookstock-prometheus")]
    prometheus_client: String,

    /// The secret of that client.
    #[arg(long, env = "PROMETHEUS_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    prometheus_client_secret: Option<String>,
}

impl Tokens {
    /// What a service is told of them.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let Some(issuer) = &self.auth.issuer else { return Vec::new() };
        vec![
            ("AUTH_ISSUER", issuer.to_string()),
            ("AUTH_AUDIENCE", self.auth.audience.clone()),
            ("AUTH_PAGE_CLIENT", self.auth.page_client.clone()),
            ("AUTH_KEYS_MAX_AGE", self.auth.keys_max_age_secs.to_string()),
        ]
    }

    /// How Prometheus logs in, as its configuration says it; none if nobody asks. Its secret is in a file in `dir` that nobody else can
    /// read, because the configuration is shown to whoever looks at Prometheus.
    pub(crate) async fn login(&self, dir: &Path) -> anyhow::Result<Option<Value>> {
        let Some(issuer) = &self.auth.issuer else { return Ok(None) };
        let secret = self.prometheus_client_secret.as_deref().context(
            "the services ask Prometheus for a token, too: say as whom it logs in, with PROMETHEUS_CLIENT and \
             PROMETHEUS_CLIENT_SECRET",
        )?;
        let token_url =
            token_endpoint(issuer).await.with_context(|| format!("asking the issuer {issuer}"))?;
        let file = dir.join("prometheus/client-secret");
        write_for_us_alone(&file, secret).with_context(|| format!("writing {}", file.display()))?;
        Ok(Some(json!({
            "client_id": self.prometheus_client,
            "client_secret_file": file,
            "token_url": token_url,
            "scopes": ["ops"],
        })))
    }
}

/// Where the issuer gives tokens, by its own description.
async fn token_endpoint(issuer: &Issuer) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let answer = client.get(issuer.discovery_url()).send().await?.error_for_status()?;
    let description: Value = serde_json::from_slice(&answer.bytes().await?)?;
    let endpoint = description["token_endpoint"].as_str().context("it does not say where tokens are had")?;
    Ok(endpoint.to_owned())
}

/// Writes a file with a secret in it. One that was there may be open to others.
pub(crate) fn write_for_us_alone(file: &Path, text: &str) -> std::io::Result<()> {
    let _ = std::fs::remove_file(file);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}
