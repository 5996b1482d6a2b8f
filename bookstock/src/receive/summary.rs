//! How a list fared.

use super::list::ReceivingList;
use super::send::Answer;
use indicatif::HumanCount;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// What became of the rows so far.
#[derive(Debug)]
pub(super) struct Summary {
    rows: usize,
    booked: usize,
    already_booked: usize,
    /// The rows that the rules refused, by index, with the reason.
    pub(super) refused: BTreeMap<usize, String>,
    /// The rows that nobody can tell of, because their books cannot be read, by index, with the reason.
    pub(super) unreadable: BTreeMap<usize, String>,
}

impl Summary {
    pub(super) fn of(rows: usize) -> Self {
        Self { rows, booked: 0, already_booked: 0, refused: BTreeMap::new(), unreadable: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, row: usize, answer: Answer) {
        match answer {
            Answer::Booked => self.booked += 1,
            Answer::AlreadyBooked => self.already_booked += 1,
            Answer::Refused(reason) => drop(self.refused.insert(row, reason)),
            Answer::Unreadable(reason) => drop(self.unreadable.insert(row, reason)),
        }
    }

    /// Whether every row is booked.
    pub(super) fn is_complete(&self) -> bool {
        self.booked + self.already_booked == self.rows
    }

    pub(super) fn print(
        &self,
        out: &mut impl Write,
        rejected: Option<&Path>,
        elapsed: Duration,
    ) -> io::Result<()> {
        let answered = self.booked + self.already_booked + self.refused.len() + self.unreadable.len();
        let count = |number: usize| HumanCount(number as u64).to_string();
        writeln!(out, "  booked          {:>10}", count(self.booked))?;
        writeln!(out, "  already booked  {:>10}", count(self.already_booked))?;
        let where_to = rejected.map_or(String::new(), |path| format!("   see {}", path.display()));
        writeln!(out, "  refused         {:>10}{where_to}", count(self.refused.len()))?;
        if !self.unreadable.is_empty() {
            writeln!(
                out,
                "  may be booked   {:>10}   their books cannot be read",
                count(self.unreadable.len())
            )?;
        }
        if answered < self.rows {
            writeln!(out, "  not answered    {:>10}", count(self.rows - answered))?;
        }
        let seconds = elapsed.as_secs_f64();
        writeln!(out, "in {seconds:.1} s, {:.0} rows/s", answered as f64 / seconds.max(f64::EPSILON))
    }
}

/// So many rows that nobody can tell of are named; the rest is counted.
const NAMED_AT_MOST: usize = 20;

impl Summary {
    /// Names the rows that nobody can tell of: they are neither booked for sure nor refused.
    pub(super) fn name_the_unreadable(&self, out: &mut impl Write, list: &ReceivingList) -> io::Result<()> {
        for (index, reason) in self.unreadable.iter().take(NAMED_AT_MOST) {
            if let Some(row) = list.rows.get(*index) {
                writeln!(out, "line {}: it may be booked or not. {reason}", row.line)?;
            }
        }
        match self.unreadable.len().saturating_sub(NAMED_AT_MOST) {
            0 => Ok(()),
            more => writeln!(out, "and {more} more; send the list again when their books can be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booked_and_already_booked_are_told_apart_and_a_refusal_makes_it_incomplete() {
        let mut summary = Summary::of(5);
        summary.add(0, Answer::Booked);
        summary.add(1, Answer::AlreadyBooked);
        summary.add(2, Answer::Refused("no".to_owned()));
        summary.add(3, Answer::Unreadable("An event cannot be understood.".to_owned()));
        assert!(!summary.is_complete());
        let mut out = Vec::new();
        let rejected = Path::new("truck.rejected.csv");
        summary.print(&mut out, Some(rejected), Duration::from_secs(2)).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "  booked                   1\n  already booked           1\n  refused                  1   see truck.rejected.csv\n  may be booked            1   their books cannot be read\n  not answered             1\nin 2.0 s, 2 rows/s\n"
        );
    }

    #[test]
    fn a_list_of_rows_that_all_were_booked_before_is_complete() {
        let mut summary = Summary::of(1);
        summary.add(0, Answer::AlreadyBooked);
        assert!(summary.is_complete());
    }
}
