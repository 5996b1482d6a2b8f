//! Tables for people: aligned columns, cut to the width of the terminal.

use console::{Alignment, Term, measure_text_width, pad_str, truncate_str};

/// Where no terminal says how wide it is, lines are as long as they are.
const GAP: &str = "  ";

/// Rows under a line of headings. Columns whose heading ends in `>` are aligned to the right, as numbers are.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, each line no wider than the terminal if there is one.
    pub(crate) fn text(&self) -> String {
        let terminal = Term::stdout();
        let width = if terminal.is_term() { Some(usize::from(terminal.size().1)) } else { None };
        self.text_within(width)
    }

    fn text_within(&self, width: Option<usize>) -> String {
        let headings: Vec<String> =
            self.headings.iter().map(|heading| heading.trim_end_matches('>').to_owned()).collect();
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let widths: Vec<usize> = (0..headings.len())
            .map(|column| {
                let cells = lines().filter_map(|line| line.get(column));
                cells.map(|cell| measure_text_width(cell)).max().unwrap_or_default()
            })
            .collect();
        let mut text = String::new();
        for line in lines() {
            let cells = line.iter().zip(&self.headings).zip(&widths).map(|((cell, heading), width)| {
                let side = if heading.ends_with('>') { Alignment::Right } else { Alignment::Left };
                pad_str(cell, *width, side, None)
            });
            let whole = cells.collect::<Vec<_>>().join(GAP);
            let whole = whole.trim_end();
            match width {
                Some(width) => text.push_str(&truncate_str(whole, width.max(20), "…")),
                None => text.push_str(whole),
            }
            text.push('\n');
        }
        text
    }
}

/// A number with its thousands set apart.
pub(crate) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["book>", "name", "stock>"]);
        table.row(["7".to_owned(), "해리 포터".to_owned(), "1,230".to_owned()]);
        table.row(["1000".to_owned(), "Emma".to_owned(), "5".to_owned()]);
        table
    }

    #[test]
    fn columns_are_aligned_also_where_letters_are_two_columns_wide() {
        let expected = "book  name       stock\n   7  해리 포터  1,230\n1000  Emma           5\n";
        assert_eq!(table().text_within(None), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for line in table().text_within(Some(20)).lines() {
            assert!(measure_text_width(line) <= 20, "{line}");
        }
    }
}
