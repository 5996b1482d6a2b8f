//! The book that a path names.

use super::problem;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use domain::book::BookId;
use service_kit::Problem;

/// The id in the path, in its one canonical spelling. A path with anything else names no book there could be: 404.
pub(super) struct BookPath(pub(super) BookId);

impl<S: Send + Sync> FromRequestParts<S> for BookPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        let text = path.map(|Path(text)| text).unwrap_or_default();
        parse(&text).map(BookPath).ok_or_else(problem::no_such_book)
    }
}

fn parse(text: &str) -> Option<BookId> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_has_one_spelling() {
        assert_eq!(parse("42").map(BookId::get), Some(42));
        assert_eq!(parse("9007199254740991").map(BookId::get), Some((1 << 53) - 1));
        for other in ["", "0", "042", "+42", "-1", "4.0", "x", "9007199254740992", "18446744073709551617"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
