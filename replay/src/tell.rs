//! What is told, where and how: answers on standard output, for people or as JSON; failures on standard error.

use serde::Serialize;
use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// How a command ended that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Done,
    /// It found what should not be: drift, events that nobody can read, a mismatch.
    Found,
}

impl Outcome {
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Found => ExitCode::FAILURE,
        }
    }
}

/// A failure that is a mistake in how the tool was called. It adds no words of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrongUse;

impl fmt::Display for WrongUse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("wrong use")
    }
}

impl std::error::Error for WrongUse {}

/// Nobody reads standard output any more: `replay tail | head` is no failure.
#[derive(Clone, Copy, Debug)]
struct NobodyReads;

impl fmt::Display for NobodyReads {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("standard output is closed")
    }
}

impl std::error::Error for NobodyReads {}

/// What came of writing to standard output.
pub(crate) fn written<T>(result: io::Result<T>) -> anyhow::Result<T> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => NobodyReads.into(),
        _ => error.into(),
    })
}

/// Tells a failure in one line, and answers its exit code.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(|cause| cause.is::<NobodyReads>()) {
        return ExitCode::SUCCESS;
    }
    let mut words: Vec<String> = error.chain().map(ToString::to_string).collect();
    words.retain(|word| word != &WrongUse.to_string());
    // If even standard error is closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "replay: {}", words.join(": "));
    let used_wrongly = error.downcast_ref::<WrongUse>().is_some()
        || error.chain().any(|cause| cause.downcast_ref::<WrongUse>().is_some());
    if used_wrongly { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// How answers are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tell {
    /// As JSON instead of text.
    pub(crate) json: bool,
}

impl Tell {
    /// One document: as JSON, or as the text that `human` makes.
    pub(crate) fn document(
        self,
        document: &impl Serialize,
        human: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(document)? } else { human() };
        line(text.trim_end())
    }

    /// One of many things that come one after the other: a line of JSON, or a line of text.
    pub(crate) fn item(self, item: &impl Serialize, human: impl FnOnce() -> String) -> anyhow::Result<()> {
        line(&if self.json { serde_json::to_string(item)? } else { human() })
    }
}

/// A line on standard output.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    written(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// A line on standard error, for people who watch.
pub(crate) fn note(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ones_own_output_may_be_closed_without_that_being_a_failure() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let code = |error: anyhow::Error| format!("{:?}", failure(&error));
        let (success, failed) = (format!("{:?}", ExitCode::SUCCESS), format!("{:?}", ExitCode::FAILURE));
        assert_ne!(success, failed);
        assert_eq!(code(written::<()>(Err(broken())).unwrap_err().context("telling")), success);
        assert_eq!(code(anyhow::Error::new(broken()).context("PostgreSQL")), failed);
    }
}
