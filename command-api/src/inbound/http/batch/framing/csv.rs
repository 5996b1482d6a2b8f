//! `text/csv`: a header, and a row a record. Columns that mean nothing here are left out.

use super::super::super::fields::Fields;
use super::super::problem::malformed;
use super::{Found, MAX_ROW_BYTES, no_border, too_long};
use csv_core::{ReadRecordResult, Reader};
use service_kit::quotes::{BadQuote, Quotes};
use service_kit::{Problem, Text, text};

/// The columns that mean something.
const COLUMNS: [&str; 5] = ["bookId", "qty", "name", "version", "idempotencyKey"];
const NEEDED: [&str; 2] = ["bookId", "qty"];

/// The most columns, and so the most cells of a row.
const MAX_COLUMNS: usize = 100;

/// What spreadsheet programs put before UTF-8 text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// How far the list has come.
pub(in super::super) struct Csv {
    reader: Reader,
    quotes: Quotes,
    /// The cells of the record that has not ended yet, one after the other, and where each ends.
    cells: Vec<u8>,
    ends: Vec<usize>,
    used: (usize, usize),
    too_long: bool,
    too_wide: bool,
    /// What each column means, once the header has come.
    header: Option<Vec<Option<&'static str>>>,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            reader: Reader::new(),
            quotes: Quotes::default(),
            cells: vec![0; MAX_ROW_BYTES],
            ends: vec![0; MAX_COLUMNS],
            used: (0, 0),
            too_long: false,
            too_wide: false,
            header: None,
        }
    }
}

impl Csv {
    pub(super) fn feed(&mut self, mut bytes: &[u8], found: &mut Vec<Found>) -> Result<(), Problem> {
        while !bytes.is_empty() {
            let (result, taken) = self.read(bytes);
            let (read, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
            self.quotes.feed(read);
            bytes = rest;
            self.note(result, found)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, found: &mut Vec<Found>) -> Result<(), Problem> {
        // Nothing more to read tells the reader that this is the end.
        loop {
            let (result, _) = self.read(&[]);
            if matches!(result, ReadRecordResult::End) {
                break;
            }
            self.note(result, found)?;
        }
        if self.header.is_some() {
            Ok(())
        } else {
            Err(Problem::invalid(text!(en: "The list has no header.", ko: "목록에 머리글 줄이 없습니다.")))
        }
    }

    fn read(&mut self, bytes: &[u8]) -> (ReadRecordResult, usize) {
        let cells = self.cells.get_mut(self.used.0..).unwrap_or_default();
        let ends = self.ends.get_mut(self.used.1..).unwrap_or_default();
        let (result, taken, cells, ends) = self.reader.read_record(bytes, cells, ends);
        self.used = (self.used.0 + cells, self.used.1 + ends);
        (result, taken)
    }

    fn note(&mut self, result: ReadRecordResult, found: &mut Vec<Found>) -> Result<(), Problem> {
        match result {
            ReadRecordResult::Record => {
                let too_long = std::mem::take(&mut self.too_long);
                let too_wide = std::mem::take(&mut self.too_wide);
                let has_line_break = self.quotes.has_line_break();
                let cells = match self.quotes.record() {
                    Some(bad) => Err(bad_quote(bad)),
                    None if too_wide => Err(self::too_wide()),
                    None if too_long => Err(self::too_long()),
                    None => self.record(),
                };
                self.used = (0, 0);
                let Some(header) = &self.header else {
                    self.header = Some(columns(&cells?)?);
                    return Ok(());
                };
                match cells.and_then(|cells| row(header, cells)) {
                    // Its lines may be rows, which would have numbers of their own once it is put right.
                    Err(problem) if has_line_break => return Err(no_border(&problem)),
                    row => found.push(row),
                }
            }
            // The rest of the record is read over.
            ReadRecordResult::OutputFull => {
                self.too_long = true;
                self.used = (0, 0);
            }
            ReadRecordResult::OutputEndsFull => {
                self.too_wide = true;
                self.used = (0, 0);
            }
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
        }
        Ok(())
    }

    fn record(&self) -> Result<Vec<String>, Problem> {
        let ends = self.ends.get(..self.used.1).unwrap_or_default();
        let begins = std::iter::once(&0).chain(ends);
        let cells = begins.zip(ends).map(|(begin, end)| {
            let cell = self.cells.get(*begin..*end).unwrap_or_default();
            std::str::from_utf8(cell).map(|cell| cell.trim().to_owned())
        });
        cells
            .collect::<Result<_, _>>()
            .map_err(|_| malformed("The row is not UTF-8 text.", "줄이 UTF-8 텍스트가 아닙니다."))
    }
}

fn too_wide() -> Problem {
    Problem::invalid(
        text!(en: "A row has at most {MAX_COLUMNS} cells.", ko: "한 줄의 칸은 {MAX_COLUMNS}개까지입니다."),
    )
}

fn bad_quote(bad: BadQuote) -> Problem {
    let Text { en, ko } = bad.told();
    Problem::malformed(
        text!(en: "The row is not well-formed CSV: {en}.", ko: "줄이 올바른 CSV 가 아닙니다: {ko}."),
    )
}

fn columns(cells: &[String]) -> Result<Vec<Option<&'static str>>, Problem> {
    let meaning = |cell: &String| {
        let name = cell.trim_start_matches(BYTE_ORDER_MARK).trim();
        COLUMNS.into_iter().find(|column| column.eq_ignore_ascii_case(name))
    };
    let columns: Vec<_> = cells.iter().map(meaning).collect();
    let count = |wanted: &str| columns.iter().filter(|column| **column == Some(wanted)).count();
    let missing = NEEDED.into_iter().find(|needed| count(needed) == 0);
    let twice = COLUMNS.into_iter().find(|column| count(column) > 1);
    let Some(column) = missing.or(twice) else { return Ok(columns) };
    let detail = if missing.is_some() {
        text!(en: "The column {column} is missing.", ko: "{column} 열이 없습니다.")
    } else {
        text!(en: "The column {column} is there twice.", ko: "{column} 열이 두 번 나옵니다.")
    };
    let Text { en, ko } = detail;
    Err(Problem::invalid(text!(
        en: "The first line must name the columns bookId and qty, and may name name, version and idempotencyKey, each once. {en}",
        ko: "첫 줄에는 bookId 와 qty 열이 있어야 하고 name, version, idempotencyKey 열이 있을 수 있습니다. 각각 한 번씩입니다. {ko}"
    ))
    .with("field", column))
}

fn row(header: &[Option<&'static str>], cells: Vec<String>) -> Found {
    if cells.len() != header.len() {
        let (found, wanted) = (cells.len(), header.len());
        return Err(Problem::invalid(text!(
            en: "The row has {found} cells and the header has {wanted}.",
            ko: "이 줄의 칸은 {found}개이고 머리글의 칸은 {wanted}개입니다."
        )));
    }
    let named = header.iter().zip(cells).filter_map(|(name, cell)| Some(((*name)?, cell)));
    let cells: Vec<_> = named.filter(|(_, cell)| !cell.is_empty()).collect();
    match cells.iter().find(|(_, cell)| cell.contains(['\n', '\r'])) {
        Some((name, _)) => {
            Err(Problem::invalid(text!(en: "{name}: it has a line break.", ko: "{name}: 줄바꿈이 있습니다.")))
        }
        None => Ok(Fields::of_cells(cells.into_iter())),
    }
}
