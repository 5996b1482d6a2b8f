//! The settings of the program: flags, environment variables and the keys of a TOML file, described once for all three.

use anyhow::{Context as _, ensure};
use clap::Args;
use event_store_server::{Config, Limits, Tls};
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where it listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2113);

/// A flag wins over its environment variable, which wins over the key of the same name (with `_` for `-`) in the file.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the events are kept; made if it is missing.
    #[arg(long, value_name = "DIR", env = "EVENT_STORE_DATA", global = true)]
    pub(crate) data: Option<PathBuf>,

    /// Keep the events in memory only, for tests: they are gone when the program ends.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", env = "EVENT_STORE_MEM")]
    mem: Option<bool>,

    /// Where to listen; port 0 takes any free one. Default: 127.0.0.1:2113
    #[arg(long, value_name = "ADDR", env = "EVENT_STORE_LISTEN")]
    listen: Option<SocketAddr>,

    /// Listen on an address that other machines can reach, though nothing asks who they are.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", env = "EVENT_STORE_INSECURE")]
    insecure: Option<bool>,

    /// The users, one `name:hash` a line (see `hash-password`). With it, every call needs a user's name and password.
    #[arg(long, value_name = "FILE", env = "EVENT_STORE_USERS")]
    users: Option<PathBuf>,

    /// The certificate chain, in PEM; with it, only TLS is spoken.
    #[arg(long, value_name = "FILE", env = "EVENT_STORE_TLS_CERTIFICATE")]
    tls_certificate: Option<PathBuf>,

    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", env = "EVENT_STORE_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// The size that the database may grow to, in bytes; appends beyond it are refused as on a full disk.
    #[arg(long, value_name = "BYTES", env = "EVENT_STORE_MAX_STORE_BYTES")]
    max_store_bytes: Option<u64>,

    /// The largest event (data, metadata and twice its type), in bytes. Default: 16 MiB
    #[arg(long, value_name = "BYTES", env = "EVENT_STORE_MAX_EVENT_BYTES")]
    max_event_bytes: Option<usize>,

    /// The largest append, in bytes. Default: 64 MiB
    #[arg(long, value_name = "BYTES", env = "EVENT_STORE_MAX_APPEND_BYTES")]
    max_append_bytes: Option<usize>,

    /// All appends under way together, in bytes, with 256 for each event. Default: 256 MiB
    #[arg(long, value_name = "BYTES", env = "EVENT_STORE_MAX_PENDING_BYTES")]
    max_pending_bytes: Option<usize>,

    /// All that was read and that clients have not taken yet, in bytes, with 256 for each event; one connection may have a
    /// quarter of it. Default: 256 MiB
    #[arg(long, value_name = "BYTES", env = "EVENT_STORE_MAX_UNREAD_BYTES")]
    max_unread_bytes: Option<usize>,

    /// The longest name of a stream or an event type, in bytes. Default: 4096
    #[arg(long, value_name = "BYTES", env = "EVENT_STORE_MAX_NAME_BYTES")]
    max_name_bytes: Option<usize>,

    /// How long an append may wait for its commit, and be waited for while it comes in, in milliseconds. Default: 10000
    #[arg(long, value_name = "MS", env = "EVENT_STORE_WRITE_TIMEOUT_MS")]
    write_timeout_ms: Option<u64>,

    /// Calls under way on one connection, subscriptions included. Default: 4096
    #[arg(long, value_name = "N", env = "EVENT_STORE_MAX_CONCURRENT_CALLS")]
    max_concurrent_calls: Option<u32>,

    /// Do not acknowledge what clients send at once: each append then takes 40 ms for a client without TCP_NODELAY, as
    /// it does with other servers. For testing clients.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", env = "EVENT_STORE_NO_QUICKACK")]
    no_quickack: Option<bool>,
}

/// The settings of a server that runs.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) config: Config,
    pub(crate) listen: SocketAddr,
    pub(crate) insecure: bool,
}

impl Settings {
    /// These settings, and for those that are not given the ones of `file`, if there is one.
    pub(crate) fn or_from(self, file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = file else { return Ok(self) };
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let theirs: Self = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        Ok(self.or(theirs))
    }

    fn or(self, other: Self) -> Self {
        Self {
            data: self.data.or(other.data),
            mem: self.mem.or(other.mem),
            listen: self.listen.or(other.listen),
            insecure: self.insecure.or(other.insecure),
            users: self.users.or(other.users),
            tls_certificate: self.tls_certificate.or(other.tls_certificate),
            tls_key: self.tls_key.or(other.tls_key),
            max_store_bytes: self.max_store_bytes.or(other.max_store_bytes),
            max_event_bytes: self.max_event_bytes.or(other.max_event_bytes),
            max_append_bytes: self.max_append_bytes.or(other.max_append_bytes),
            max_pending_bytes: self.max_pending_bytes.or(other.max_pending_bytes),
            max_unread_bytes: self.max_unread_bytes.or(other.max_unread_bytes),
            max_name_bytes: self.max_name_bytes.or(other.max_name_bytes),
            write_timeout_ms: self.write_timeout_ms.or(other.write_timeout_ms),
            max_concurrent_calls: self.max_concurrent_calls.or(other.max_concurrent_calls),
            no_quickack: self.no_quickack.or(other.no_quickack),
        }
    }

    /// The data directory, which most commands need.
    pub(crate) fn data(&self) -> anyhow::Result<&Path> {
        self.data.as_deref().context("say where the events are kept, with --data DIR")
    }

    /// What a server is to be set up with.
    pub(crate) fn serving(self) -> anyhow::Result<Serving> {
        let defaults = Limits::default();
        let limits = Limits {
            max_store_bytes: self.max_store_bytes,
            max_event_bytes: self.max_event_bytes.unwrap_or(defaults.max_event_bytes),
            max_append_bytes: self.max_append_bytes.unwrap_or(defaults.max_append_bytes),
            max_pending_bytes: self.max_pending_bytes.unwrap_or(defaults.max_pending_bytes),
            max_unread_bytes: self.max_unread_bytes.unwrap_or(defaults.max_unread_bytes),
            max_name_bytes: self.max_name_bytes.unwrap_or(defaults.max_name_bytes),
            write_timeout: self.write_timeout_ms.map_or(defaults.write_timeout, Duration::from_millis),
            max_concurrent_streams: self.max_concurrent_calls.unwrap_or(defaults.max_concurrent_streams),
            silence: defaults.silence,
            shutdown_grace: defaults.shutdown_grace,
        };
        sensible(&limits)?;
        let config = match (self.mem.unwrap_or(false), &self.data) {
            (true, None) => Config::in_memory()?,
            (true, Some(_)) => {
                anyhow::bail!("--mem keeps nothing, so --data has no sense beside it; give one of them")
            }
            (false, _) => Config::new(self.data()?),
        };
        let tls = match (self.tls_certificate, self.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls { certificate, key }),
            (None, None) => None,
            _ => anyhow::bail!("TLS needs both --tls-certificate and --tls-key"),
        };
        Ok(Serving {
            config: Config {
                limits,
                quickack: !self.no_quickack.unwrap_or(false),
                users: self.users,
                tls,
                ..config
            },
            listen: self.listen.unwrap_or(LISTEN),
            insecure: self.insecure.unwrap_or(false),
        })
    }
}

/// Limits under which nothing could ever be done are a slip.
fn sensible(limits: &Limits) -> anyhow::Result<()> {
    let least = [
        ("--max-event-bytes", limits.max_event_bytes),
        ("--max-unread-bytes", limits.max_unread_bytes),
        ("--max-name-bytes", limits.max_name_bytes),
        ("--max-concurrent-calls", usize::try_from(limits.max_concurrent_streams).unwrap_or(usize::MAX)),
    ];
    for (flag, value) in least {
        ensure!(value > 0, "{flag} cannot be 0");
    }
    ensure!(!limits.write_timeout.is_zero(), "--write-timeout-ms cannot be 0: no append would be waited for");
    let (append, pending) = (limits.max_append_bytes, limits.max_pending_bytes);
    ensure!(
        (1..pending).contains(&append),
        "--max-append-bytes is {append}, and has to be less than --max-pending-bytes, {pending}: the largest append would \
         be refused as too much for now, for ever"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_flag_wins_over_the_file_and_an_unknown_key_is_refused_by_its_name() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "data = \"/from/file\"\nmax_name_bytes = 7\nwrite_timeout_ms = 5").unwrap();
        let flags = Settings { max_name_bytes: Some(9), ..Settings::default() };
        let Serving { config, listen, .. } = flags.or_from(Some(file.path())).unwrap().serving().unwrap();
        assert_eq!((config.data_dir.to_str(), config.limits.max_name_bytes), (Some("/from/file"), 9));
        assert_eq!((config.limits.write_timeout, listen), (Duration::from_millis(5), LISTEN));

        writeln!(file, "max_evnt_bytes = 1").unwrap();
        let error = Settings::default().or_from(Some(file.path())).unwrap_err();
        assert!(format!("{error:#}").contains("max_evnt_bytes"), "{error:#}");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let refused = |settings: Settings| settings.serving().unwrap_err().to_string();
        assert!(refused(Settings::default()).contains("--data"));
        let both = Settings { mem: Some(true), data: Some("x".into()), ..Settings::default() };
        assert!(refused(both).contains("--mem"));
        let half = Settings { data: Some("x".into()), tls_key: Some("k".into()), ..Settings::default() };
        assert!(refused(half).contains("--tls-certificate"));
        let at = || Settings { data: Some("x".into()), ..Settings::default() };
        assert!(
            refused(Settings { max_append_bytes: Some(300 << 20), ..at() }).contains("--max-pending-bytes")
        );
        assert!(refused(Settings { write_timeout_ms: Some(0), ..at() }).contains("--write-timeout-ms"));
        assert!(
            refused(Settings { max_concurrent_calls: Some(0), ..at() }).contains("--max-concurrent-calls")
        );
    }
}
