//! Lines for people, on standard output.

use std::io::Write as _;

/// A line. Where standard output is gone, the exit code still tells.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
