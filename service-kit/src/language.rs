//! What people read, in the two languages of the library.

use axum::http::{HeaderMap, header};
use std::borrow::Cow;

/// A language that people are told things in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// For those who do not ask for another.
    English,
    /// 한국어.
    Korean,
}

impl Language {
    /// The one that `Accept-Language` likes best; English if it likes neither, or both as much.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
        let (mut english, mut korean, mut any) = (None, None, None);
        for (range, weight) in values.flat_map(|value| value.split(',')).filter_map(weighed) {
            let primary = range.split('-').next().unwrap_or_default();
            let liked = match primary.to_ascii_lowercase().as_str() {
                "en" => &mut english,
                "ko" => &mut korean,
                "*" => &mut any,
                _ => continue,
            };
            *liked = Some(liked.unwrap_or(0).max(weight));
        }
        let weight = |liked: Option<u16>| liked.or(any).unwrap_or(0);
        if weight(korean) > weight(english) { Self::Korean } else { Self::English }
    }

    /// As `Content-Language` has it.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }
}

/// A range of languages and how much it is liked, in thousandths.
fn weighed(part: &str) -> Option<(&str, u16)> {
    let mut pieces = part.split(';').map(str::trim);
    let range = pieces.next().filter(|range| !range.is_empty())?;
    let weight = match pieces.next() {
        None => 1_000,
        Some(weight) => {
            let (name, value) = weight.split_once('=')?;
            let quality: f32 = value.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
            if !name.trim().eq_ignore_ascii_case("q") {
                return None;
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
            let thousandths = (quality * 1_000.0) as u16;
            thousandths
        }
    };
    Some((range, weight))
}

/// The same thing said in both languages; there is no way to leave one out. The macro [`text!`](crate::text) makes one with what
/// the moment adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// In English.
    pub en: Cow<'static, str>,
    /// In Korean.
    pub ko: Cow<'static, str>,
}

impl Text {
    /// A text that is always the same.
    #[must_use]
    pub const fn fixed(en: &'static str, ko: &'static str) -> Self {
        Self { en: Cow::Borrowed(en), ko: Cow::Borrowed(ko) }
    }

    /// The text in `language`.
    #[must_use]
    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::Korean => &self.ko,
        }
    }
}

/// A [`Text`](crate::Text) from two format strings, which may name variables:
/// `text!(en: "There is no book {id}.", ko: "{id}번 도서가 없습니다.")`.
#[macro_export]
macro_rules! text {
    (en: $en:literal, ko: $ko:literal $(,)?) => {
        $crate::Text { en: ::std::format!($en).into(), ko: ::std::format!($ko).into() }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_liked_best_is_spoken_and_english_in_doubt() {
        for (accepted, language) in [
            ("", Language::English),
            ("ko", Language::Korean),
            ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", Language::Korean),
            ("en-US,en;q=0.9,ko;q=0.8", Language::English),
            ("KO-kr", Language::Korean),
            ("fr, de;q=0.9", Language::English),
            ("fr, ko;q=0.1", Language::Korean),
            ("*", Language::English),
            ("en;q=0, *", Language::Korean),
            ("ko;q=0", Language::English),
            ("ko, en", Language::English),
            ("ko;q=2", Language::English),
            ("ko;q=x, ;;, =", Language::English),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, accepted.parse().unwrap())]);
            assert_eq!(Language::of(&headers), language, "{accepted}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn a_text_is_made_in_both_languages_at_once() {
        let qty = 3;
        let text = text!(en: "{qty} copies", ko: "{qty}권");
        assert_eq!((text.get(Language::English), text.get(Language::Korean)), ("3 copies", "3권"));
    }
}
