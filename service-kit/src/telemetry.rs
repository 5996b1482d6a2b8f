//! Structured logs on standard error.

use serde_json::json;
use std::io::IsTerminal as _;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged unless `RUST_LOG` says otherwise. The crate `eventstore` logs an error for each call that fails, also
/// for those that its adapter then repeats; the adapter tells what comes of them.
const DEFAULT_FILTER: &str = "info,eventstore=off";

/// Starts logging for this process: JSON lines, or readable text on a terminal; `LOG_FORMAT=json|text` decides
/// otherwise, `RUST_LOG` filters. A second call changes nothing.
pub fn init() {
    init_with(DEFAULT_FILTER);
}

/// The same for a command that people watch: only what goes wrong is logged.
pub fn init_for_a_command() {
    init_with("warn,eventstore=off");
}

fn init_with(default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let as_text = told_as_text().unwrap_or_else(|| std::io::stderr().is_terminal());
    let logs = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that somebody else already logs in this process, which is all we want.
    let _ =
        if as_text { logs.with_target(false).try_init() } else { logs.json().flatten_event(true).try_init() };
}

/// What `LOG_FORMAT` says, if it says anything.
fn told_as_text() -> Option<bool> {
    match std::env::var("LOG_FORMAT").as_deref() {
        Ok("json") => Some(false),
        Ok("text") => Some(true),
        _ => None,
    }
}

/// A line that standard output gets, which some collect together with the logs: an event like theirs for those who said that
/// they want JSON, and text for all others.
pub(crate) fn line(said: &str) -> String {
    if told_as_text() != Some(false) {
        return said.to_owned();
    }
    let mut timestamp = String::new();
    // A text takes whatever is written.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    json!({"timestamp": timestamp, "level": "INFO", "message": said, "target": module_path!()}).to_string()
}
