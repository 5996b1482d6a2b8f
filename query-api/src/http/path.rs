//! The book that a path names.

use crate::problem;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use service_kit::Problem;
use std::convert::Infallible;
use std::str::FromStr;

/// The part of the path where a book's id belongs; empty if it is not even text.
pub(super) struct BookPath(String);

impl BookPath {
    /// The id, in its one canonical spelling. A path with anything else names no book there could be: 404.
    pub(super) fn id<Id: FromStr>(&self) -> Result<Id, Problem> {
        let canonical = !self.0.starts_with('0') && self.0.bytes().all(|byte| byte.is_ascii_digit());
        canonical.then(|| self.0.parse().ok()).flatten().ok_or_else(problem::no_such_book)
    }
}

impl std::fmt::Display for BookPath {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BookPath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(text)| text).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Result<u64, Problem> {
        BookPath(text.to_owned()).id()
    }

    #[test]
    fn a_book_has_one_spelling() {
        assert_eq!(id("42").unwrap(), 42);
        for other in ["", "0", "042", "+42", "-1", "4.0", "x", "99999999999999999999"] {
            assert_eq!(id(other).unwrap_err().name(), "book-unknown", "{other}");
        }
    }
}
