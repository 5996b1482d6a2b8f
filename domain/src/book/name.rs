//! What a book is called.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest name, in characters.
const MAX_CHARS: usize = 500;

/// A book's name: 1 to 500 characters, none of them a control character, no space around it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BookName(Arc<str>);

/// The text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookNameError {
    /// Nothing is left when the space around it is taken away.
    #[error("a name is not empty; leave the field out if there is none")]
    Empty,
    /// It is longer than a name may be.
    #[error("a name has at most {MAX_CHARS} characters, not {0}")]
    TooLong(usize),
    /// It has a line break, a tab or the like in it.
    #[error("a name has no control characters, such as line breaks")]
    ControlCharacter,
}

impl BookName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BookName {
    type Error = BookNameError;

    fn try_from(text: String) -> Result<Self, BookNameError> {
        text.parse()
    }
}

impl std::str::FromStr for BookName {
    type Err = BookNameError;

    fn from_str(text: &str) -> Result<Self, BookNameError> {
        let name = text.trim();
        let chars = name.chars().count();
        if chars == 0 {
            Err(BookNameError::Empty)
        } else if chars > MAX_CHARS {
            Err(BookNameError::TooLong(chars))
        } else if name.chars().any(char::is_control) {
            Err(BookNameError::ControlCharacter)
        } else {
            Ok(Self(name.into()))
        }
    }
}

impl From<BookName> for String {
    fn from(name: BookName) -> Self {
        name.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_may_be_korean() {
        assert_eq!(" 해리 포터 ".parse::<BookName>().unwrap().as_str(), "해리 포터");
    }

    #[test]
    fn what_no_catalogue_could_show_is_no_name() {
        assert_eq!("  ".parse::<BookName>(), Err(BookNameError::Empty));
        assert_eq!("a\nb".parse::<BookName>(), Err(BookNameError::ControlCharacter));
        assert_eq!("책".repeat(501).parse::<BookName>(), Err(BookNameError::TooLong(501)));
        assert!("책".repeat(500).parse::<BookName>().is_ok());
    }
}
