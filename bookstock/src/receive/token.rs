//! The token that a system may ask for.

use anyhow::Context as _;
use reqwest::header::HeaderValue;
use std::fmt;

/// A bearer token. Nothing shows it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// As a request carries it; none if it is empty, as a variable may be that is set to nothing.
    pub(super) fn header(&self) -> anyhow::Result<Option<HeaderValue>> {
        let token = self.0.trim();
        if token.is_empty() {
            return Ok(None);
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .context("BOOKSTOCK_TOKEN is no token: it has characters that no token has")?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_to_the_system_alone() {
        let token = Token::from("ey.J.9\n".to_owned());
        let header = token.header().unwrap().unwrap();
        assert_eq!(header, "Bearer ey.J.9");
        assert!(!format!("{token:?} {header:?}").contains("ey.J.9"));
        assert!(Token::from(" ".to_owned()).header().unwrap().is_none());
        let error = format!("{:#}", Token::from("secret\nhalf".to_owned()).header().unwrap_err());
        assert!(error.contains("BOOKSTOCK_TOKEN") && !error.contains("secret"), "{error}");
    }
}
