//! What form an answer has: what the client accepts best of what there is.

use axum::http::{HeaderMap, header};

/// The forms of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Media {
    /// A HAL document, the form of everything else.
    Hal,
    /// Comma-separated values, with a line of names first.
    Csv,
    /// A JSON object a line.
    NdJson,
}

impl Media {
    /// The form that the `Accept` header asks for; HAL if it names none of them.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best = (Self::Hal, 0);
        for range in accepted.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let Some(media) = parts.next().and_then(Self::named) else { continue };
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths);
            if weight > best.1 {
                best = (media, weight);
            }
        }
        best.0
    }

    fn named(range: &str) -> Option<Self> {
        let named = |name: &str| range.eq_ignore_ascii_case(name);
        match range {
            _ if named("text/csv") => Some(Self::Csv),
            _ if named("application/x-ndjson") || named("application/ndjson") => Some(Self::NdJson),
            _ if named("application/hal+json") || named("application/json") => Some(Self::Hal),
            _ => None,
        }
    }

    /// The name of [`Media::Csv`].
    pub(super) const CSV: &'static str = "text/csv";

    /// The name of [`Media::NdJson`].
    pub(super) const NDJSON: &'static str = "application/x-ndjson";

    /// Its name, and how its text is written where that is not said by the name.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Hal => super::hal::MEDIA_TYPE,
            Self::Csv => "text/csv; charset=utf-8",
            Self::NdJson => Self::NDJSON,
        }
    }
}

/// A quality, 0 to 1 with three places at most.
fn thousandths(text: &str) -> u32 {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let places: String = places.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u32>().unwrap_or(0).saturating_mul(1_000).saturating_add(places.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(accept: &str) -> Media {
        Media::accepted(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]))
    }

    #[test]
    fn a_client_gets_what_it_accepts_best() {
        for (accept, media) in [
            ("*/*", Media::Hal),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Media::Hal),
            ("text/csv", Media::Csv),
            ("Text/CSV; header=present", Media::Csv),
            ("application/x-ndjson", Media::NdJson),
            ("application/json, text/csv;q=0.9", Media::Hal),
            ("application/json;q=0.5, text/csv;q=0.55", Media::Csv),
            ("text/csv;q=0", Media::Hal),
        ] {
            assert_eq!(accepted(accept), media, "{accept}");
        }
        assert_eq!(Media::accepted(&HeaderMap::new()), Media::Hal);
    }
}
