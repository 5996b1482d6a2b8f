//! How much of an answer a client wants.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use std::convert::Infallible;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// How much of an answer is wanted (`Prefer: return=`, RFC 7240).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Representation,
    /// Only what the headers say.
    Minimal,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(wanted(&parts.headers))
    }
}

/// The first `return` among all preferences counts; what is not understood is left out.
fn wanted(headers: &HeaderMap) -> Wanted {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let first = preferences.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("return").then(|| value.trim().trim_matches('"'))
    });
    if first == Some("minimal") { Wanted::Minimal } else { Wanted::Representation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_the_first_preference_for_a_return_counts() {
        for (values, expected) in [
            (vec![], Wanted::Representation),
            (vec!["return=minimal"], Wanted::Minimal),
            (
                vec!["respond-async, wait=5", "handling=lenient; x=y , Return = \"minimal\"; foo"],
                Wanted::Minimal,
            ),
            (vec!["return=representation, return=minimal"], Wanted::Representation),
            (vec!["return", "minimal", "return=tiny"], Wanted::Representation),
        ] {
            let values: HeaderMap =
                values.into_iter().map(|value| (PREFER, HeaderValue::from_static(value))).collect();
            assert_eq!(wanted(&values), expected, "{values:?}");
        }
    }
}
