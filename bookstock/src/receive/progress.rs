//! How far it is: a bar on a terminal, a line for each tenth elsewhere.

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};

/// The rows done so far, shown on standard error until dropped.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    on_terminal: bool,
}

impl Progress {
    pub(super) fn start(rows: usize) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        let rows = rows as u64;
        // Hidden, the bar still counts.
        let bar = if on_terminal { ProgressBar::new(rows) } else { ProgressBar::hidden() };
        bar.set_length(rows);
        let style =
            ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} rows, {per_sec}, {eta} left");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { bar, on_terminal }
    }

    /// Says something, above the bar if there is one.
    pub(super) fn say(&self, words: &str) {
        self.bar.suspend(|| {
            // What cannot be shown is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{words}");
        });
    }

    /// One row more is done.
    pub(super) fn row_done(&self) {
        self.bar.inc(1);
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let tenth = |done: u64| done * 10 / all.max(1);
        if !self.on_terminal && tenth(done) != tenth(done - 1) {
            // Progress that cannot be shown is no reason to stop.
            let _ = writeln!(
                std::io::stderr(),
                "{} of {} rows, {:.0}/s, {} left",
                HumanCount(done),
                HumanCount(all),
                self.bar.per_sec(),
                HumanDuration(self.bar.eta())
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.abandon();
    }
}
