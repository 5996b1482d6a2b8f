//! `application/x-ndjson`: an object a line.

use super::{Found, Row, no_border};
use service_kit::Problem;

/// The line that has not ended yet.
#[derive(Default)]
pub(in super::super) struct Lines(Row);

impl Lines {
    pub(super) fn feed(&mut self, mut bytes: &[u8], found: &mut Vec<Found>) -> Result<(), Problem> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.0.push(line);
            self.end(found)?;
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.0.push(bytes);
        Ok(())
    }

    pub(super) fn end(&mut self, found: &mut Vec<Found>) -> Result<(), Problem> {
        let line = std::mem::take(&mut self.0);
        if line.is_blank() {
            return Ok(());
        }
        match line.json() {
            // Without the line break between them they have one number, and one each once it is put right.
            Err(problem) if line.is_several() => Err(no_border(&problem)),
            row => {
                found.push(row);
                Ok(())
            }
        }
    }
}
