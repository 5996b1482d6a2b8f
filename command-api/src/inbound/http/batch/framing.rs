//! Cutting a stream of bytes into rows, in each of the forms that a receiving list comes in. This file only lists.

mod csv;
mod json_array;
mod lines;

use super::super::fields::Fields;
use super::problem;
use serde::de::IgnoredAny;
use serde_json::Deserializer;
use serde_json::error::Category;
use service_kit::body::shallow;
use service_kit::{Problem, Text, text};

/// The longest row, in bytes.
const MAX_ROW_BYTES: usize = 16 * 1024;

/// A row as it was found: its fields, or what is wrong with it alone.
pub(super) type Found = Result<Fields, Problem>;

/// The form that a list comes in.
pub(super) enum Framing {
    /// `application/json`: an array of objects.
    Json(json_array::JsonArray),
    /// `application/x-ndjson`: an object a line.
    Lines(lines::Lines),
    /// `text/csv`: a header, and a row a record.
    Csv(Box<csv::Csv>),
}

impl Framing {
    /// The form that `media_type` names, if it is one.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Some(Self::Json(json_array::JsonArray::default())),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Some(Self::Lines(lines::Lines::default()))
            }
            "text/csv" => Some(Self::Csv(Box::default())),
            _ => None,
        }
    }

    /// Takes in more of the stream, and puts the rows that are complete into `found`.
    ///
    /// # Errors
    /// When it is no list of this form, so that nothing more can be found in it.
    pub(super) fn feed(&mut self, bytes: &[u8], found: &mut Vec<Found>) -> Result<(), Problem> {
        match self {
            Self::Json(array) => array.feed(bytes, found),
            Self::Lines(lines) => lines.feed(bytes, found),
            Self::Csv(csv) => csv.feed(bytes, found),
        }
    }

    /// Ends the stream: the last row may have waited for that.
    ///
    /// # Errors
    /// When the list ends too early.
    pub(super) fn end(&mut self, found: &mut Vec<Found>) -> Result<(), Problem> {
        match self {
            Self::Json(array) => array.end(),
            Self::Lines(lines) => lines.end(found),
            Self::Csv(csv) => csv.end(found),
        }
    }
}

/// The bytes of one row, as far as they have come.
#[derive(Default)]
struct Row {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Row {
    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_ROW_BYTES.saturating_sub(self.bytes.len());
        self.too_long |= bytes.len() > room;
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn is_blank(&self) -> bool {
        !self.too_long && self.bytes.trim_ascii().is_empty()
    }

    /// What is in it, read as a JSON object.
    fn json(&self) -> Found {
        if self.too_long {
            return Err(too_long());
        }
        shallow(&self.bytes)?;
        serde_json::from_slice(&self.bytes).map_err(|error| {
            let bad_form = match error.classify() {
                // That it is no object is found before what comes behind is looked at.
                Category::Data => serde_json::from_slice::<IgnoredAny>(&self.bytes).err(),
                Category::Syntax | Category::Eof | Category::Io => Some(error),
            };
            match bad_form {
                Some(error) => Problem::malformed(text!(
                    en: "The row is not well-formed JSON: {error}.",
                    ko: "줄이 올바른 JSON 이 아닙니다: {error}."
                )),
                None => Problem::invalid(
                    text!(en: "A row is a JSON object.", ko: "한 줄은 JSON 객체여야 합니다."),
                ),
            }
        })
    }

    /// Whether another object begins behind a whole one.
    fn is_several(&self) -> bool {
        let mut values = Deserializer::from_slice(&self.bytes).into_iter::<IgnoredAny>();
        let is_whole = matches!(values.next(), Some(Ok(_)));
        is_whole && self.bytes.get(values.byte_offset()..).is_some_and(|rest| rest.contains(&b'{'))
    }
}

fn too_long() -> Problem {
    problem::row_too_long(MAX_ROW_BYTES)
}

/// The problem of a list from this row on: it may be several, so nobody knows what numbers, and so what keys, those behind it have.
fn no_border(row: &Problem) -> Problem {
    let Text { en, ko } = row.detail();
    Problem::malformed(text!(
        en: "{en} Where this row ends cannot be told, so neither it nor any row behind it is booked. Put it right, and send the list again.",
        ko: "{ko} 이 줄이 어디서 끝나는지 알 수 없어 이 줄과 그 뒤의 줄은 입고하지 않았습니다. 고쳐서 목록을 다시 보내십시오."
    ))
}

#[cfg(test)]
mod tests {
    use super::super::super::explain::Explain;
    use super::*;
    use std::convert::Infallible;

    impl Explain for Infallible {
        fn explain(&self, _: &str) -> Text {
            match *self {}
        }
    }

    /// What is found in `text`, however it is cut: each row as its name, or as the status of its problem.
    fn found(media_type: &str, text: &str) -> Result<Vec<String>, u16> {
        let whole = read(media_type, text.as_bytes(), text.len().max(1));
        for size in 1..12 {
            assert_eq!(read(media_type, text.as_bytes(), size), whole, "in pieces of {size}: {text}");
        }
        whole
    }

    fn read(media_type: &str, bytes: &[u8], size: usize) -> Result<Vec<String>, u16> {
        let (mut framing, mut found) = (Framing::of(media_type).unwrap(), Vec::new());
        let status = |problem: Problem| problem.status().as_u16();
        bytes.chunks(size).try_for_each(|piece| framing.feed(piece, &mut found)).map_err(status)?;
        framing.end(&mut found).map_err(status)?;
        let told = |row: Found| match row {
            Ok(fields) => fields.text::<String>("name").unwrap().unwrap_or("-".to_owned()),
            Err(problem) => problem.status().as_u16().to_string(),
        };
        Ok(found.into_iter().map(told).collect())
    }

    #[test]
    fn an_array_is_cut_at_its_own_commas_only() {
        let json = |text: &str| found("application/json", text);
        let tricky = r#" [ {"name":"a,]\"}["} , {"name":"b\\","x":[1,{"y":[]}]},{}]  "#;
        assert_eq!(json(tricky).unwrap(), [r#"a,]"}["#, "b\\", "-"]);
        assert_eq!(json("[]").unwrap(), Vec::<String>::new());
        assert_eq!(json(r#"[1,{"name":"a"},nonsense,{"name":"b"]"#), Err(400));
        assert_eq!(json(r#"[7,{"name":"a"},null,[]]"#).unwrap(), ["422", "a", "422", "422"]);
        for bad in ["", "{}", "[{}", "[{}]x", "[,]", "[{},]", "[[[", "\"[]\""] {
            assert_eq!(json(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn nothing_is_found_behind_an_element_that_may_be_several() {
        for bad in [
            r#"[{"name":"a"}{"name":"b"},{"name":"c"}]"#,
            r#"[{"name":"a},{"name":"b},{"name":"c"}]"#,
            r#"[nonsense,{"name":"c"}]"#,
            r#"["name":"a","x":1},{"name":"c"}]"#,
            r#"[7 {"name":"a"},{"name":"c"}]"#,
            r#"[null {"name":"a"},{"name":"c"}]"#,
            &format!(r#"[{{"name":"{}"}},{{"name":"c"}}]"#, "x".repeat(MAX_ROW_BYTES)),
        ] {
            let (mut framing, mut found) = (Framing::of("application/json").unwrap(), Vec::new());
            let problem = framing.feed(bad.as_bytes(), &mut found).unwrap_err();
            assert_eq!((problem.status().as_u16(), found.len()), (400, 0), "{bad:.60}");
        }
    }

    #[test]
    fn a_line_is_a_row_and_blank_ones_are_none() {
        let lines = |text: &str| found("application/x-ndjson; charset=utf-8", text);
        assert_eq!(lines("{\"name\":\"a\"}\r\n\n {} \n{\"name\":\"b\"}").unwrap(), ["a", "-", "b"]);
        assert_eq!(lines("{\n7\n{\"name\":\"c\"}\n").unwrap(), ["400", "422", "c"]);
        assert_eq!(lines("").unwrap(), Vec::<String>::new());
        let long = format!("{{\"name\":\"{}\"}}\n{{}}\n", "x".repeat(MAX_ROW_BYTES));
        assert_eq!(lines(&long).unwrap(), ["413", "-"]);
    }

    #[test]
    fn nothing_is_found_behind_a_line_that_is_several_rows() {
        let lines = |text: &str| found("application/x-ndjson", text);
        for several in [
            r#"{"name":"a"}{"name":"b"}"#,
            r#"{"name":"a"}, {"name":"b"}"#,
            r#"{"name":"a"} {"name":"b"#,
            &format!(r#"{{"name":"a"}}{{"name":"{}"}}"#, "x".repeat(MAX_ROW_BYTES)),
        ] {
            assert_eq!(lines(&format!("{several}\n{{\"name\":\"c\"}}\n")), Err(400), "{several:.60}");
        }
        // Here it is sure that it is one.
        for one in [r#""name":"a","x":1}"#, r#"{"name":"a"},"#, r#"{"name":"a"}}"#, r#"{"name":"{"a"}"#] {
            assert_eq!(lines(&format!("{one}\n{{\"name\":\"c\"}}\n")).unwrap(), ["400", "c"], "{one}");
        }
    }

    #[test]
    fn a_csv_has_a_header_and_quoted_cells() {
        let csv = |text: &str| found("text/csv", text);
        let text = "\u{feff}qty, Name ,isbn,bookid\r\n1,\"a, \"\"b\"\"\",\"x\ny\",1\n\n2,,y,2\n3,d\n4,e,z,3";
        assert_eq!(csv(text).unwrap(), ["a, \"b\"", "-", "422", "e"]);
        for bad in ["", "name,qty\na,1\n", "bookId,qty,qty\n1,1,1\n", "bookId;qty\n1;1\n"] {
            assert_eq!(csv(bad), Err(422), "{bad}");
        }
        let long = format!("bookId,qty,name\n1,1,{}\n1,1,f\n", "x".repeat(MAX_ROW_BYTES + 9));
        assert_eq!(csv(&long).unwrap(), ["413", "f"]);
    }

    #[test]
    fn a_csv_with_more_cells_than_a_row_may_have_is_told_so_and_not_that_it_is_too_long() {
        let header = |columns: usize| format!("bookId,qty{}\n", ",x".repeat(columns - 2));
        let row = |cells: usize| format!("1,1{}\n", ",".repeat(cells - 2));
        assert_eq!(
            found("text/csv", &(header(100) + &row(100) + &row(101) + &row(100))).unwrap(),
            ["-", "422", "-"]
        );
        let (mut framing, mut found) = (Framing::of("text/csv").unwrap(), Vec::new());
        let problem = framing.feed(header(101).as_bytes(), &mut found).unwrap_err();
        assert_eq!(problem.detail().en, "A row has at most 100 cells.");
    }

    #[test]
    fn a_csv_row_with_a_bad_quote_is_refused_alone_while_it_is_a_line() {
        let csv = |text: &str| found("text/csv", text);
        assert_eq!(csv("bookId,qty,name\n5020,1,\"cut of").unwrap(), ["400"]);
        assert_eq!(csv("bookId,qty,name\n1,1,\"a\"b\"\n2,1,\"c\"\n").unwrap(), ["400", "c"]);
        assert_eq!(csv("bookId,qty,\"name\n1,1,a\n"), Err(400));
    }

    #[test]
    fn nothing_is_found_behind_a_csv_row_that_may_be_several() {
        for rows in [
            "1,1,\"cut of\n2,1,b\n",
            "1,1,\"cut of\n2,1,\"b\"\n3,1,c\n",
            // Here the quotes are good, and no name has a line break.
            "1,1,\"cut of\n2,1,5\"\n3,1,c\n",
            "1,1,\"cut of\n2,1,5\",x\n3,1,c\n",
            &format!("1,1,\"{}\n2,1,5\"\n3,1,c\n", "x".repeat(MAX_ROW_BYTES)),
        ] {
            assert_eq!(found("text/csv", &format!("bookId,qty,name\n{rows}")), Err(400), "{rows:.60}");
        }
    }

    #[test]
    fn other_forms_are_none() {
        for other in ["", "text/plain", "application/xml", "application/json+x"] {
            assert!(Framing::of(other).is_none(), "{other}");
        }
    }
}
