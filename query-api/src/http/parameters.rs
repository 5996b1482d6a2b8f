//! The query string. A parameter that nobody knows is refused and not passed over: with a misspelt `minPosition` an
//! answer would be older than was asked for, and nobody would notice.

use crate::problem;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use service_kit::{Problem, text};
use std::ops::RangeInclusive;

/// The parameters of a request, in the order they came.
#[derive(Debug)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Parameters {
    /// The whole number that `name` is set to, if it is set.
    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<u64>, Problem> {
        self.number_in(name, 0..=u64::MAX)
    }

    /// The whole number of `range` that `name` is set to, if it is set.
    pub(super) fn number_in(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.filter(|number| range.contains(number)).map(Some).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            let reason = text!(
                en: "a whole number from {least} to {most} is needed, not {text:?}",
                ko: "{least}부터 {most}까지의 정수여야 합니다(받은 값: {text:?})"
            );
            problem::invalid_parameter(name, &reason)
        })
    }

    /// What `name` is set to, if it is set.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<&str>, Problem> {
        let mut given = self.all(name);
        let (first, second) = (given.next(), given.next());
        if second.is_some() {
            return Err(problem::invalid_parameter(
                name,
                &text!(en: "it is given twice", ko: "두 번 나옵니다"),
            ));
        }
        Ok(first)
    }

    /// Each value of `name`, which may be given any number of times.
    pub(super) fn all(&mut self, name: &'static str) -> impl Iterator<Item = &str> {
        self.known.push(name);
        self.pairs.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// To be called when all that the route knows was asked for.
    pub(super) fn refuse_others(&self) -> Result<(), Problem> {
        match self.pairs.iter().find(|(given, _)| !self.known.contains(&given.as_str())) {
            None => Ok(()),
            Some((unknown, _)) => {
                let known = self.known.join(", ");
                Err(problem::invalid_parameter(
                    unknown,
                    &text!(
                        en: "no such parameter; this path knows {known}",
                        ko: "없는 매개변수입니다. 이 경로에서 쓸 수 있는 매개변수: {known}"
                    ),
                ))
            }
        }
    }

    /// The query string, with its question mark if there is anything to ask.
    pub(super) fn query(&self) -> String {
        query(self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The query string with another value of `name`, and all else as it is.
    pub(super) fn query_with(&self, name: &str, value: &str) -> String {
        let others = self.pairs.iter().filter(|(known, _)| known != name);
        query(
            std::iter::once((name, value)).chain(others.map(|(name, value)| (name.as_str(), value.as_str()))),
        )
    }
}

/// What has to be escaped in a query string, with the brackets that would spoil a link in a text.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'=').add(b'>');

fn query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.extend(utf8_percent_encode(value, ESCAPED));
    }
    text
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::try_from_uri(&parts.uri).map_err(|error| {
            Problem::malformed(text!(
                en: "The query string cannot be read: {error}.",
                ko: "질의 문자열을 읽을 수 없습니다({error})."
            ))
        })?;
        Ok(Self { pairs, known: Vec::new() })
    }
}

#[cfg(test)]
impl From<&str> for Parameters {
    fn from(query: &str) -> Self {
        let uri = format!("http://localhost/?{query}").parse().unwrap();
        let Query(pairs) = Query::try_from_uri(&uri).unwrap();
        Self { pairs, known: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_plain_digits_given_at_most_once() {
        assert_eq!(Parameters::from("").number("page").unwrap(), None);
        assert_eq!(Parameters::from("page=07").number("page").unwrap(), Some(7));
        for query in [
            "page=",
            "page=-1",
            "page=%2B1",
            "page=1.0",
            "page=x",
            "page=18446744073709551616",
            "page=1&page=1",
        ] {
            assert!(Parameters::from(query).number("page").is_err(), "{query}");
        }
    }

    #[test]
    fn a_number_that_is_not_in_its_range_is_refused_with_the_range() {
        let number = |query: &str| Parameters::from(query).number_in("size", 1..=1_000);
        assert_eq!(number("size=1").unwrap(), Some(1));
        assert_eq!(number("size=1000").unwrap(), Some(1_000));
        for query in ["size=0", "size=1001", "size=abc", "size=-1"] {
            let detail = number(query).unwrap_err().detail().en.clone();
            assert!(detail.contains("a whole number from 1 to 1000 is needed"), "{query}: {detail}");
        }
    }

    #[test]
    fn what_no_one_asked_for_is_refused() {
        let mut parameters = Parameters::from("page=1&sise=10");
        parameters.number("page").unwrap();
        parameters.number("size").unwrap();
        assert_eq!(parameters.refuse_others().unwrap_err().name(), "invalid-parameter");
        let mut parameters = Parameters::from("sort=stock&sort=name");
        assert_eq!(parameters.all("sort").collect::<Vec<_>>(), ["stock", "name"]);
        parameters.refuse_others().unwrap();
    }

    #[test]
    fn another_page_keeps_all_else_that_was_asked_for() {
        let parameters = Parameters::from("size=10&page=4&sort=stock,desc&sort=name");
        assert_eq!(parameters.query(), "?size=10&page=4&sort=stock,desc&sort=name");
        assert_eq!(parameters.query_with("page", "5"), "?page=5&size=10&sort=stock,desc&sort=name");
        assert_eq!(Parameters::from("").query(), "");
        assert_eq!(Parameters::from("").query_with("page", "1"), "?page=1");
    }

    #[test]
    fn what_was_escaped_stays_so_in_links() {
        let parameters = Parameters::from("q=a%26size=1%2B+%ED%95%B4%23");
        assert_eq!(parameters.query(), "?q=a%26size%3D1%2B%20%ED%95%B4%23");
    }
}
