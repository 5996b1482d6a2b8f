//! One part: how it is started, and how one sees that it is well.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How one sees that a part is well: it answers these two paths by HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signs {
    /// As long as it lives.
    pub(crate) alive: &'static str,
    /// When it does its work.
    pub(crate) ready: &'static str,
}

/// One program, and what it is started with.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// What it is called.
    pub(crate) name: String,
    /// Where it is asked how it is.
    pub(crate) addr: SocketAddr,
    /// Where it is, for those who use it.
    pub(crate) url: String,
    /// How one sees that it is well.
    pub(crate) signs: Signs,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Part {
    /// A part that runs `program`, and is used by HTTP.
    pub(crate) fn new(name: &str, program: PathBuf, addr: SocketAddr, signs: Signs) -> Self {
        let (name, url) = (name.to_owned(), format!("http://{addr}"));
        Self { name, addr, url, signs, program, arguments: Vec::new(), environment: Vec::new() }
    }

    /// Used by this address instead.
    pub(crate) fn used_at(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    /// With this argument as well.
    pub(crate) fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With this variable as well.
    pub(crate) fn env(mut self, name: &'static str, value: impl ToString) -> Self {
        self.environment.push((name, value.to_string()));
        self
    }

    /// The command that starts it. The system ends it if the thread that starts it should end.
    pub(crate) fn command(&self, dir: &Path) -> std::io::Result<Command> {
        let log = dir.join("logs").join(format!("{}.log", self.name));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(&self.arguments);
        // Ctrl-C on a terminal is for us alone: we tell the parts, in order.
        command.process_group(0);
        // What configures a service comes from here alone, except for what people may want to try.
        command.env_clear();
        let kept = [
            "PATH",
            "HOME",
            "TMPDIR",
            "RUST_LOG",
            "SSL_CERT_FILE",
            "NAME",
            "STORE_TIMEOUT_MS",
            "MAX_IN_FLIGHT",
        ];
        command.envs(kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // Where traces go, and how many.
        command.envs(std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"OTEL_")));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }
}
