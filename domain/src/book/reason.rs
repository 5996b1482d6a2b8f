//! Why something was done that the rules cannot know.

use serde::{Deserialize, Serialize};

/// The longest reason, in characters.
pub const MAX_REASON_CHARS: usize = 500;

/// A reason in a person's words: 1 to 500 characters, none of them a control character, no space around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(Box<str>);

/// The text is no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReasonError {
    /// Nothing is left when the space around it is taken away.
    #[error("a reason is not empty; say in a few words why")]
    Empty,
    /// It is longer than a reason may be.
    #[error("a reason has at most {MAX_REASON_CHARS} characters, not {0}")]
    TooLong(usize),
    /// It has a line break, a tab or the like in it.
    #[error("a reason has no control characters, such as line breaks")]
    ControlCharacter,
}

impl Reason {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = ReasonError;

    fn try_from(text: String) -> Result<Self, ReasonError> {
        text.parse()
    }
}

impl std::str::FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let reason = text.trim();
        let chars = reason.chars().count();
        if chars == 0 {
            Err(ReasonError::Empty)
        } else if chars > MAX_REASON_CHARS {
            Err(ReasonError::TooLong(chars))
        } else if reason.chars().any(char::is_control) {
            Err(ReasonError::ControlCharacter)
        } else {
            Ok(Self(reason.into()))
        }
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_trimmed_and_may_be_korean() {
        assert_eq!(" 분실 2권 ".parse::<Reason>().unwrap().as_str(), "분실 2권");
    }

    #[test]
    fn what_tells_nobody_why_is_no_reason() {
        assert_eq!("  ".parse::<Reason>(), Err(ReasonError::Empty));
        assert_eq!("a\nb".parse::<Reason>(), Err(ReasonError::ControlCharacter));
        assert_eq!("책".repeat(501).parse::<Reason>(), Err(ReasonError::TooLong(501)));
        assert!("책".repeat(500).parse::<Reason>().is_ok());
    }
}
