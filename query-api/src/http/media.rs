//! What form an answer has: what the client accepts best of what there is.

use axum::http::{HeaderMap, header};
use std::cmp::Reverse;

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
    /// The form that the `Accept` header prefers: that of the highest quality, the one that is named more exactly, the first.
    /// HAL, if it accepts none of them.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let mut best = (Self::Hal, Preference::NONE);
        for media in [Self::Hal, Self::Csv, Self::NdJson] {
            let preference = media.preference(headers);
            if preference > best.1 {
                best = (media, preference);
            }
        }
        best.0
    }

    /// How much it is wanted. The range that names it most exactly says so.
    fn preference(self, headers: &HeaderMap) -> Preference {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = accepted.flat_map(|value| value.split(','));
        let named = ranges.enumerate().filter_map(|(place, range)| {
            let mut parts = range.split(';').map(str::trim);
            let exactness = parts.next().and_then(|name| self.is_in(name))?;
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths);
            Some(Preference { weight, exactness, earliness: Reverse(place) })
        });
        let most_exact = named.max_by_key(|named| (named.exactness, named.weight, named.earliness));
        most_exact.filter(|named| named.weight > 0).unwrap_or(Preference::NONE)
    }

    /// How exactly a range names this form, if it does.
    fn is_in(self, range: &str) -> Option<u8> {
        let (whole_type, names): (_, &[&str]) = match self {
            Self::Hal => ("application/*", &["application/hal+json", "application/json"]),
            Self::Csv => ("text/*", &[Self::CSV]),
            Self::NdJson => ("application/*", &[Self::NDJSON, "application/ndjson"]),
        };
        match range {
            "*/*" => Some(0),
            _ if range.eq_ignore_ascii_case(whole_type) => Some(1),
            _ => names.iter().any(|name| range.eq_ignore_ascii_case(name)).then_some(2),
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

/// How much a form is wanted: by its quality, then by how exactly it was named, then by how early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    weight: u32,
    exactness: u8,
    earliness: Reverse<usize>,
}

impl Preference {
    const NONE: Self = Self { weight: 0, exactness: 0, earliness: Reverse(usize::MAX) };
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
            ("text/csv, application/json", Media::Csv),
            ("text/csv, */*", Media::Csv),
            ("text/csv, */*;q=0.01", Media::Csv),
            ("text/csv;q=0.1, */*", Media::Hal),
            ("*/*, application/x-ndjson;q=0.9", Media::Hal),
            ("text/*", Media::Csv),
            ("application/*, text/csv;q=0.5", Media::Hal),
            ("application/json;q=0.1, */*;q=0.5", Media::Csv),
            ("application/json;q=0, text/csv;q=0, */*", Media::NdJson),
        ] {
            assert_eq!(accepted(accept), media, "{accept}");
        }
        assert_eq!(Media::accepted(&HeaderMap::new()), Media::Hal);
    }
}
