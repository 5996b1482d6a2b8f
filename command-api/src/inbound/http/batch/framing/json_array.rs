//! `application/json`: an array of objects, cut into its elements without reading it as a whole.

use super::super::problem::malformed;
use super::{Found, Row, no_border};
use axum::http::StatusCode;
use service_kit::Problem;

/// How far the array has come.
#[derive(Default)]
pub(in super::super) struct JsonArray {
    place: Place,
    /// The element that has not ended yet.
    element: Row,
    /// How many brackets are open in it.
    depth: usize,
    in_string: bool,
    escaped: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    /// After the opening bracket: there may be no element at all.
    First,
    /// After a comma: there must be an element.
    Next,
    After,
}

impl JsonArray {
    pub(super) fn feed(&mut self, bytes: &[u8], found: &mut Vec<Found>) -> Result<(), Problem> {
        let mut begun = 0;
        for (index, byte) in bytes.iter().enumerate() {
            let ends = match self.place {
                Place::Before | Place::After => {
                    self.outside(*byte)?;
                    begun = index + 1;
                    continue;
                }
                Place::First | Place::Next => self.ends_element(*byte),
            };
            if !ends {
                continue;
            }
            self.element.push(bytes.get(begun..index).unwrap_or_default());
            begun = index + 1;
            match (self.element.is_blank(), *byte, self.place) {
                (true, b']', Place::First) => {}
                (true, _, _) => {
                    return Err(malformed(
                        "The array has a comma with no row beside it.",
                        "배열의 쉼표 옆에 줄이 없습니다.",
                    ));
                }
                (false, _, _) => match std::mem::take(&mut self.element).json() {
                    // Without a comma, a quote or a bracket it may be several rows.
                    Err(problem) if problem.status() != StatusCode::UNPROCESSABLE_ENTITY => {
                        return Err(no_border(&problem));
                    }
                    row => found.push(row),
                },
            }
            self.place = if *byte == b']' { Place::After } else { Place::Next };
        }
        self.element.push(bytes.get(begun..).unwrap_or_default());
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), Problem> {
        match self.place {
            Place::After => Ok(()),
            Place::Before => Err(no_array()),
            Place::First | Place::Next => Err(malformed(
                "The array ends before its closing bracket.",
                "배열이 닫는 괄호 없이 끝납니다.",
            )),
        }
    }

    fn outside(&mut self, byte: u8) -> Result<(), Problem> {
        match (self.place, byte) {
            (_, b' ' | b'\t' | b'\r' | b'\n') => Ok(()),
            (Place::Before, b'[') => {
                self.place = Place::First;
                Ok(())
            }
            (Place::Before, _) => Err(no_array()),
            _ => Err(malformed("Something comes after the array.", "배열 뒤에 다른 것이 있습니다.")),
        }
    }

    /// Whether `byte` is the comma or the bracket that ends an element.
    fn ends_element(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth += 1,
            b',' | b']' if self.depth == 0 => return true,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}

fn no_array() -> Problem {
    malformed("The body must be a JSON array of rows.", "본문은 줄들의 JSON 배열이어야 합니다.")
}
