//! What a file may be instead of a CSV file, and what to do then.

/// What is to be done with text in another encoding.
pub(super) const NOT_UTF_8: &str =
    "it is not UTF-8 text; save the list as UTF-8 (in Excel: \"CSV UTF-8\"), and receive that";

/// The same, if it is one that spreadsheet programs write two bytes a character.
const UTF_16: &str = "it is UTF-16 text; save the list as UTF-8 (in Excel: \"CSV UTF-8\"), and receive that";

/// Separators that are none here, and what they are called.
const SEPARATORS: [(char, &str); 3] = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")];

/// What to do if the file is UTF-16, with its byte order mark or without.
pub(super) fn utf_16(content: &[u8]) -> Option<&'static str> {
    matches!(content, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..]).then_some(UTF_16)
}

/// What to do if the names of the columns are in one cell.
pub(super) fn separator(header: &[&str]) -> Option<String> {
    let [cell] = header else { return None };
    let (_, name) = SEPARATORS.into_iter().find(|(separator, _)| cell.contains(*separator))?;
    Some(format!("; columns are separated by commas, not by {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_two_bytes_a_character_is_known() {
        let bytes = |order: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
            text.encode_utf16().flat_map(order).collect()
        };
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            for text in ["\u{feff}bookId,qty\n", "bookId,qty\n"] {
                assert_eq!(utf_16(&bytes(order, text)), Some(UTF_16), "{text:?}");
            }
        }
        for text in ["", "b", "bookId,qty\n", "책,qty\n"] {
            assert_eq!(utf_16(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_header_of_one_cell_tells_its_separator() {
        assert!(separator(&["bookId;qty"]).unwrap().contains("semicolons"));
        assert!(separator(&["bookId\tqty"]).unwrap().contains("tabs"));
        assert_eq!(separator(&["bookId"]), None);
        assert_eq!(separator(&["a;b", "qty"]), None);
    }
}
