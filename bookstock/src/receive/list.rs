//! A receiving list, read and checked.

use super::form;
use csv::{ByteRecord, Position, ReaderBuilder, StringRecord};
use domain::book::{BookId, BookName, Edition, Quantity};
use serde::Serialize;
use service_kit::quotes::{BadQuote, Quotes};
use std::collections::HashMap;
use std::fmt::{self, Display};
use std::str::FromStr;

/// How many bad rows are named; the rest is counted.
const NAMED_AT_MOST: usize = 20;

/// How many rows of one book a list may have: they have to go in one request, so that all of them are recognised when
/// the list is sent again.
const ROWS_OF_A_BOOK: usize = super::ROWS_OF_A_REQUEST;

/// What spreadsheet programs put before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A list of which every row can be sent.
#[derive(Clone, Debug)]
pub struct ReceivingList {
    /// The names of the columns, as the file has them.
    pub header: StringRecord,
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
    /// The columns that mean nothing here.
    pub ignored: Vec<String>,
}

/// One row: copies of a book that came in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The line of the file that it begins on, from 1.
    #[serde(skip)]
    pub line: u64,
    /// Which book.
    pub book_id: BookId,
    /// How many copies.
    pub qty: Quantity,
    /// What the book is called from now on, if the row says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<BookName>,
    /// Their edition, if the row says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Edition>,
    /// The row as the file has it.
    #[serde(skip)]
    pub record: StringRecord,
}

/// A row that cannot be sent, and all that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The line of the file that it begins on, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a file is no receiving list.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The first line is no header of such a list.
    #[error(
        "its first line must name the columns bookId and qty, and may name name and version, each once: {0}"
    )]
    Header(String),
    /// Only a header, or nothing.
    #[error("it has no rows")]
    Empty,
    /// Rows that cannot be sent.
    #[error("{}", in_lines(rows, *more))]
    BadRows {
        /// The first of them.
        rows: Vec<BadRow>,
        /// How many more there are.
        more: usize,
    },
}

fn in_lines(rows: &[BadRow], more: usize) -> String {
    let mut text = format!("{} bad rows", rows.len() + more);
    for BadRow { line, reason } in rows {
        text = format!("{text}\n  line {line}: {reason}");
    }
    if more > 0 {
        text = format!("{text}\n  and {more} more");
    }
    text
}

impl ReceivingList {
    /// Reads and checks a whole file.
    ///
    /// # Errors
    /// [`ListError`], with the bad rows by line.
    pub fn parse(content: &[u8]) -> Result<Self, ListError> {
        if let Some(what_to_do) = form::utf_16(content) {
            return Err(ListError::Header(what_to_do.to_owned()));
        }
        let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
        // A row with too few or too many cells is a bad row, not the end of reading.
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(content);
        let header = reader.headers().map_err(|_| ListError::Header(form::NOT_UTF_8.to_owned()))?.clone();
        let mut quotes = Quotes::default();
        let mut begin = read_to(&mut quotes, content, 0, reader.position());
        if let Some(bad) = quotes.record() {
            return Err(ListError::Header(in_english(bad)));
        }
        let columns = Columns::of(&header)?;
        let (mut rows, mut bad) = (Vec::new(), Vec::new());
        let mut rows_of = HashMap::new();
        let mut records = reader.byte_records();
        // Reading from memory does not fail, and cells may have any length and any bytes.
        while let Some(Ok(record)) = records.next() {
            let line = line_of(&record, content);
            begin = read_to(&mut quotes, content, begin, records.reader().position());
            let row = match quotes.record() {
                Some(bad) => Err(in_english(bad)),
                None => columns.row(record, line, header.len()),
            };
            match row {
                Ok(row) => {
                    let count = rows_of.entry(row.book_id).or_insert(0_usize);
                    *count += 1;
                    if *count <= ROWS_OF_A_BOOK {
                        rows.push(row);
                    } else {
                        bad.push(BadRow { line, reason: too_many_rows(row.book_id) });
                    }
                }
                Err(reason) => bad.push(BadRow { line, reason }),
            }
        }
        if !bad.is_empty() {
            let more = bad.len().saturating_sub(NAMED_AT_MOST);
            bad.truncate(NAMED_AT_MOST);
            return Err(ListError::BadRows { rows: bad, more });
        }
        if rows.is_empty() {
            return Err(ListError::Empty);
        }
        Ok(Self { ignored: columns.ignored, header, rows })
    }
}

/// Shows `quotes` the bytes from `begin` to where the reader is, and answers where that is.
fn read_to(quotes: &mut Quotes, content: &[u8], begin: usize, reader: &Position) -> usize {
    let end = usize::try_from(reader.byte()).unwrap_or(usize::MAX).min(content.len());
    quotes.feed(content.get(begin..end).unwrap_or_default());
    end
}

fn in_english(bad: BadQuote) -> String {
    bad.told().en.into_owned()
}

fn too_many_rows(book: BookId) -> String {
    format!(
        "book {book} has {ROWS_OF_A_BOOK} rows before this one; more could not be sent again safely, so split the list"
    )
}

/// The line that a record begins on. The reader counts from where the record before it ended, blank lines included.
fn line_of(record: &ByteRecord, content: &[u8]) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = content.get(start..).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).filter(|byte| **byte == b'\n');
    position.line() + blank.map(|_| 1).sum::<u64>()
}

/// Where the cells are.
struct Columns {
    book_id: usize,
    qty: usize,
    name: Option<usize>,
    version: Option<usize>,
    ignored: Vec<String>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, ListError> {
        let mut known = [("bookId", None), ("qty", None), ("name", None), ("version", None)];
        let mut ignored = Vec::new();
        for (index, column) in header.iter().map(str::trim).enumerate() {
            match known.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(column)) {
                Some((_, place @ None)) => *place = Some(index),
                Some((name, Some(_))) => return Err(ListError::Header(format!("{name} is there twice"))),
                None => ignored.push(column.to_owned()),
            }
        }
        let [book_id, qty, name, version] = known;
        let needed = |(column, place): (&str, Option<usize>)| {
            place.ok_or_else(|| {
                let what_to_do = form::separator(&header.iter().collect::<Vec<_>>()).unwrap_or_default();
                ListError::Header(format!("{column} is missing{what_to_do}"))
            })
        };
        Ok(Self { book_id: needed(book_id)?, qty: needed(qty)?, name: name.1, version: version.1, ignored })
    }

    /// The row in a record, or all that is wrong with it.
    fn row(&self, record: ByteRecord, line: u64, cells: usize) -> Result<Row, String> {
        let record = StringRecord::from_byte_record(record).map_err(|_| form::NOT_UTF_8.to_owned())?;
        if record.len() != cells {
            return Err(format!("it has {} cells and the header has {cells}", record.len()));
        }
        let mut wrong = Vec::new();
        let book_id = needed(&record, self.book_id, "bookId", &mut wrong);
        let qty = needed(&record, self.qty, "qty", &mut wrong);
        let name = optional(&record, self.name, &mut wrong);
        let version = optional(&record, self.version, &mut wrong);
        match (book_id, qty) {
            (Some(book_id), Some(qty)) if wrong.is_empty() => {
                Ok(Row { line, book_id, qty, name, version, record })
            }
            _ => Err(wrong.join("; ")),
        }
    }
}

fn needed<T: FromStr<Err: Display>>(
    record: &StringRecord,
    at: usize,
    column: &str,
    wrong: &mut Vec<String>,
) -> Option<T> {
    let count = wrong.len();
    let value = optional(record, Some(at), wrong);
    if value.is_none() && wrong.len() == count {
        wrong.push(format!("the {column} is missing"));
    }
    value
}

/// The value of a cell; an empty cell has none.
fn optional<T: FromStr<Err: Display>>(
    record: &StringRecord,
    at: Option<usize>,
    wrong: &mut Vec<String>,
) -> Option<T> {
    let cell = record.get(at?)?.trim();
    if cell.is_empty() {
        return None;
    }
    cell.parse().map_err(|error: T::Err| wrong.push(error.to_string())).ok()
}

impl fmt::Display for BadRow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad_rows(content: &str) -> Vec<String> {
        match ReceivingList::parse(content.as_bytes()) {
            Err(ListError::BadRows { rows, .. }) => rows.iter().map(BadRow::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn columns_come_in_any_order_and_strange_ones_are_named() {
        let text = "\u{feff}qty,isbn,Version,bookId,name\r\n 3 ,x,1.5,7,\"해리 포터, 1\"\r\n4,,,8,\r\n";
        let list = ReceivingList::parse(text.as_bytes()).unwrap();
        assert_eq!(list.ignored, ["isbn"]);
        let json: Vec<_> = list.rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
        assert_eq!(
            json,
            [r#"{"bookId":7,"qty":3,"name":"해리 포터, 1","version":1.5}"#, r#"{"bookId":8,"qty":4}"#]
        );
        assert_eq!(list.rows.iter().map(|row| row.book_id.get()).collect::<Vec<_>>(), [7, 8]);
    }

    #[test]
    fn all_bad_rows_are_named_by_line_with_all_that_is_wrong() {
        let text = "bookId,qty,version\n1,1,\n0,1000001,1.234\n\n\n2,,\n3,4\n\"4\n4\",5,\n5,6,2.0\n";
        assert_eq!(
            bad_rows(text),
            [
                "line 3: a bookId is a whole number from 1 to 9007199254740991, not 0; a qty is a whole number from 1 to 1000000, not 1000001; a version is a decimal from 0.01 to 1000000 with at most two places, such as 2.0, not 1.234",
                "line 6: the qty is missing",
                "line 7: it has 2 cells and the header has 3",
                "line 8: a bookId is a whole number from 1 to 9007199254740991, not 4\n4",
            ]
        );
    }

    #[test]
    fn a_row_with_a_bad_quote_is_a_bad_row() {
        assert_eq!(
            bad_rows("bookId,qty,name\n5020,1,\"cut of"),
            ["line 2: the quote of line 2 is not closed"]
        );
        assert_eq!(
            bad_rows("bookId,qty,name\n1,1,\"a\"\n\n2,1,\"cut of\n3,1,c\n"),
            ["line 4: the quote of line 4 is not closed"]
        );
        let bad = bad_rows("bookId,qty,name\r\n6403,1,\"a\"b\"\r\n1,1,\"c\"\r\n");
        assert_eq!(bad.len(), 1);
        assert!(bad[0].starts_with("line 2: text after a closed quote"), "{bad:?}");
        let error = ReceivingList::parse(b"bookId,qty,\"name\n1,1,a\n").unwrap_err().to_string();
        assert!(error.contains("the quote of line 1 is not closed"), "{error}");
    }

    #[test]
    fn what_is_not_utf_8_is_a_bad_row() {
        let error = ReceivingList::parse(b"bookId,qty,name\n1,2,\xb0\xa1\n").unwrap_err();
        assert!(
            error.to_string().contains("line 2: it is not UTF-8 text; save the list as UTF-8"),
            "{error}"
        );
        for header in [&b"\xc3\xa5,qty\n"[..], b"bookId,\xb0\xa1\n", b"\xff\xfeb\0o\0"] {
            let error = ReceivingList::parse(header).unwrap_err().to_string();
            let is_utf_8 = std::str::from_utf8(header).is_ok();
            assert_eq!(error.contains("save the list as UTF-8"), !is_utf_8, "{error}");
        }
    }

    #[test]
    fn of_very_many_bad_rows_the_first_are_named_and_the_rest_counted() {
        let text = format!("bookId,qty\n{}", "x,1\n".repeat(30));
        let error = ReceivingList::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("30 bad rows\n  line 2: "), "{error}");
        assert!(error.ends_with("\n  and 10 more"), "{error}");
        assert_eq!(error.lines().count(), 22);
    }

    #[test]
    fn more_rows_of_one_book_than_can_be_sent_again_safely_are_refused() {
        let rows = |count: usize| format!("bookId,qty\n8,1\n{}", "7,1\n".repeat(count));
        assert_eq!(ReceivingList::parse(rows(100_000).as_bytes()).unwrap().rows.len(), 100_001);
        let bad = bad_rows(&rows(100_001));
        assert_eq!(bad.len(), 1);
        assert!(bad[0].starts_with("line 100003: book 7 has 100000 rows before this one"), "{bad:?}");
    }

    #[test]
    fn a_file_that_is_no_such_list_is_refused() {
        for (text, says) in [
            ("", "bookId is missing"),
            ("bookId,name\n1,a\n", "qty is missing"),
            ("bookId;qty\n1;2\n", "bookId is missing; columns are separated by commas, not by semicolons"),
            ("bookId,qty,QTY\n1,2,3\n", "qty is there twice"),
            ("bookId,qty\n", "no rows"),
        ] {
            let error = ReceivingList::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }
}
