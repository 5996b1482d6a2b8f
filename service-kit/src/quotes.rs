//! The quotes of a CSV file. The reader of the crate csv takes every file for one and never refuses: an open quote takes in all that
//! follows, and what stands behind a closed one is added to the cell. So the quotes are looked at here, beside the reader.

use crate::{Text, text};

/// What is wrong with the quotes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadQuote {
    /// The file ends within the quote that this line opens.
    Open(u64),
    /// Text follows the closed quote that this line opens.
    TextAfter(u64),
}

impl BadQuote {
    /// The same for people.
    #[must_use]
    pub fn told(self) -> Text {
        match self {
            Self::Open(line) => text!(
                en: "the quote of line {line} is not closed",
                ko: "{line}번째 줄의 따옴표가 닫히지 않았습니다"
            ),
            Self::TextAfter(line) => text!(
                en: "text after a closed quote, of line {line}; a quote within quotes is written twice",
                ko: "{line}번째 줄의 닫힌 따옴표 뒤에 글자가 있습니다. 따옴표 안의 따옴표는 두 번 씁니다"
            ),
        }
    }
}

/// Where in a cell a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Beginning,
    Plain,
    Quoted,
    /// Behind a quote that ends the cell, or is the first of two.
    Quote,
    /// Behind a closed quote and a blank.
    Blank,
}

/// The quotes of a file, as far as it has come.
#[derive(Clone, Debug)]
pub struct Quotes {
    at: At,
    line: u64,
    opened: u64,
    bad: Option<BadQuote>,
    /// Whether a line of the record ends within quotes.
    breaks: bool,
    /// Whether nothing has come, or only a byte order mark.
    first: bool,
}

impl Default for Quotes {
    fn default() -> Self {
        Self { at: At::Beginning, line: 1, opened: 0, bad: None, breaks: false, first: true }
    }
}

impl Quotes {
    /// Takes in more of the file, no further than to the end of a record.
    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // A byte order mark is before the first cell and not in it.
            if self.first && matches!(byte, 0xef | 0xbb | 0xbf) {
                continue;
            }
            self.first = false;
            self.line += u64::from(*byte == b'\n');
            self.breaks |= self.at == At::Quoted && matches!(byte, b'\n' | b'\r');
            self.at = match (self.at, byte) {
                (At::Quoted, b'"') => At::Quote,
                (At::Quoted, _) | (At::Quote, b'"') => At::Quoted,
                (_, b',' | b'\n' | b'\r') => At::Beginning,
                (At::Beginning, b'"') => {
                    self.opened = self.line;
                    At::Quoted
                }
                (At::Quote | At::Blank, b' ' | b'\t') => At::Blank,
                (At::Quote | At::Blank, _) => {
                    self.bad.get_or_insert(BadQuote::TextAfter(self.opened));
                    At::Plain
                }
                (At::Beginning | At::Plain, _) => At::Plain,
            };
        }
    }

    /// Whether the record takes more than one line. To be asked at its end, before [`Quotes::record`].
    #[must_use]
    pub fn has_line_break(&self) -> bool {
        self.breaks
    }

    /// To be asked at the end of each record: what is wrong with its quotes.
    pub fn record(&mut self) -> Option<BadQuote> {
        self.breaks = false;
        // Within quotes a record ends only where the file does.
        let open = (self.at == At::Quoted).then_some(BadQuote::Open(self.opened));
        self.bad.take().or(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(text: &str) -> Option<BadQuote> {
        let mut quotes = Quotes::default();
        text.as_bytes().chunks(1).for_each(|byte| quotes.feed(byte));
        quotes.record()
    }

    #[test]
    fn quotes_that_are_closed_are_good() {
        for text in [
            "",
            "a,b\n",
            "\"a\",\"\"\n",
            "\"a\"",
            "\u{feff}\"a\",b\r\n",
            "\"a, \"\"b\"\"\n\",c",
            "\"a\" ,\"b\"\t\n",
            "5\" disk,a\"b\"\n",
            "\"\"\"\"\r\n",
        ] {
            assert_eq!(bad(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_quote_that_is_open_or_is_followed_by_text_is_told_with_its_line() {
        use BadQuote::{Open, TextAfter};
        for (text, wrong) in [
            ("1,1,\"cut of", Open(1)),
            ("a\n1,\"cut of\n2,b\n", Open(2)),
            ("\"a\"\"", Open(1)),
            ("\u{feff}\"a", Open(1)),
            ("a\n\"a\"b\"\n", TextAfter(2)),
            ("a\n\"a\n2,\"b\",c\n", TextAfter(2)),
            ("\"a\" \"b\"\n", TextAfter(1)),
            ("\"a\"b,\"c", TextAfter(1)),
        ] {
            assert_eq!(bad(text), Some(wrong), "{text:?}");
        }
        assert_eq!(Open(7).told().en, "the quote of line 7 is not closed");
    }

    #[test]
    fn a_bad_record_leaves_the_next_one_alone() {
        let mut quotes = Quotes::default();
        quotes.feed(b"\"a\"b\n");
        assert_eq!(quotes.record(), Some(BadQuote::TextAfter(1)));
        quotes.feed(b"\"a\"\n");
        assert_eq!(quotes.record(), None);
    }

    #[test]
    fn a_record_has_a_line_break_if_one_is_within_its_quotes() {
        let mut quotes = Quotes::default();
        for (record, breaks) in [
            ("a,b\n", false),
            ("\n\r\n\"a\",b\r\n", false),
            ("\"a\nb\",c\n", true),
            ("\"a\",b\n", false),
            ("\"a\rb\"c\n", true),
            ("\"a\"b\n", false),
        ] {
            quotes.feed(record.as_bytes());
            assert_eq!(quotes.has_line_break(), breaks, "{record:?}");
            quotes.record();
        }
    }
}
