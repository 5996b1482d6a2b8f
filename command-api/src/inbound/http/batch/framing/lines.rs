//! `application/x-ndjson`: an object a line.

use super::{Found, Row};

/// The line that has not ended yet.
#[derive(Default)]
pub(in super::super) struct Lines(Row);

impl Lines {
    pub(super) fn feed(&mut self, mut bytes: &[u8], found: &mut Vec<Found>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.0.push(line);
            self.end(found);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.0.push(bytes);
    }

    pub(super) fn end(&mut self, found: &mut Vec<Found>) {
        if self.0.is_blank() {
            self.0 = Row::default();
        } else {
            found.push(self.0.take_json());
        }
    }
}
