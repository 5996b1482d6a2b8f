//! How far long work is, on standard error: a bar with rate and time left on a terminal, a line now and then elsewhere.

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// How much has been done of what there is, shown until dropped.
///
/// How far it is, is told by positions, of which the last one is known before, or by the books of a sample; how fast, in
/// events.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    end: u64,
    events: u64,
    started: Instant,
    told: Instant,
}

impl Progress {
    /// Begins `what`, which goes up to the position `end`.
    pub(crate) fn start(what: &'static str, end: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(end);
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent}% {msg}, {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(what);
            bar
        });
        let now = Instant::now();
        Self { what, bar, end, events: 0, started: now, told: now }
    }

    /// So many more events are done, the last of them at `position`.
    pub(crate) fn done(&mut self, events: usize, position: u64) {
        self.events += events as u64;
        if let Some(bar) = &self.bar {
            bar.set_position(position.min(self.end));
            bar.set_message(self.rate());
        } else if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            let _ = writeln!(std::io::stderr(), "{}", self.line(position));
        }
    }

    fn line(&self, position: u64) -> String {
        let percent = position.min(self.end).saturating_mul(100) / self.end.max(1);
        let left = HumanDuration(self.left(position));
        format!("{}: {percent} %, {}, about {left} left", self.what, self.rate())
    }

    /// The events that were done.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    fn left(&self, position: u64) -> Duration {
        let left = u128::from(self.end.saturating_sub(position));
        let nanos = self.started.elapsed().as_nanos().saturating_mul(left) / u128::from(position.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn rate(&self) -> String {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = self.events.saturating_mul(1_000) / millis;
        format!("{} events, {}/s", HumanCount(self.events), HumanCount(rate))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Work of which nobody knows how long it is, shown until dropped: how long it has taken.
#[derive(Debug)]
pub(crate) struct Phase {
    bar: Option<ProgressBar>,
    telling: Option<JoinHandle<()>>,
}

impl Phase {
    /// Begins `what`.
    pub(crate) fn start(what: String) -> Self {
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{prefix} {spinner} {elapsed}");
            let bar = ProgressBar::new_spinner().with_prefix(what);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
            return Self { bar: Some(bar), telling: None };
        }
        let began = Instant::now();
        let telling = tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let _ = writeln!(std::io::stderr(), "{what}: for {}", HumanDuration(began.elapsed()));
            }
        });
        Self { bar: None, telling: Some(telling) }
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if let Some(telling) = &self.telling {
            telling.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_it_is_how_fast_and_what_is_left() {
        let Some(started) = Instant::now().checked_sub(Duration::from_secs(10)) else { return };
        let progress =
            Progress { what: "folding", bar: None, end: 40_000, events: 9_000, started, told: started };
        let line = progress.line(10_000);
        assert!(line.starts_with("folding: 25 %, 9,000 events, "), "{line}");
        assert!(line.ends_with("/s, about 30 seconds left"), "{line}");
    }
}
