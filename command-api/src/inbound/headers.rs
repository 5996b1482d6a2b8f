//! What a request's headers say of the command in its body.

use crate::identity::{Key, MAX_KEY_LENGTH};
use crate::intention::{Intention, Precondition, Provenance};
use crate::recent::WINDOW;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, header};
use service_kit::auth::Caller;
use service_kit::{Problem, RequestId, text};
use std::convert::Infallible;
use std::sync::Arc;

/// The key by which a client's repeat of a command is recognised.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The most digits of a number in an ETag: no revision and no generation has more.
const MAX_DIGITS: usize = 19;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl Intention {
    /// What a request's headers and its edge say of the command in it. The metadata of a gRPC call are such headers.
    pub(super) fn of(headers: &HeaderMap, extensions: &Extensions) -> Result<Self, Problem> {
        Ok(Self {
            key: key(headers)?.unwrap_or_else(Key::made_here),
            reach: WINDOW,
            preconditions: preconditions(headers)?,
            provenance: Arc::new(Provenance::of(headers, extensions)),
        })
    }
}

impl Provenance {
    fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let request_id = RequestId::among(extensions).as_str().to_owned();
        let traceparent = text(headers, &TRACEPARENT).filter(|text| is_traceparent(text));
        let actor = extensions.get::<Caller>().map(|caller| caller.subject().to_string());
        Self { actor, request_id, traceparent: traceparent.map(str::to_owned) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Intention {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers, &parts.extensions)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Provenance {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, &parts.extensions))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The one value of a header, if it is there; `None` inside if it is no text, or there are several.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(first.to_str().ok().filter(|_| values.next().is_none()))
}

/// The key, as a bare word or as the quoted string that the draft of the header asks for: both are the same key.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    let Some(value) = single(headers, &IDEMPOTENCY_KEY) else { return Ok(None) };
    value.map(unquoted).and_then(Key::from_client).map(Some).ok_or_else(|| {
        Problem::malformed(text!(
            en: "An Idempotency-Key is sent once and has 1 to {MAX_KEY_LENGTH} visible ASCII characters, no quote and no backslash among them.",
            ko: "Idempotency-Key 는 한 번만 보내며, 따옴표와 역슬래시를 뺀 보이는 ASCII 문자 1~{MAX_KEY_LENGTH}자입니다."
        ))
    })
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// `If-Match` and `If-None-Match`: `*`, or the ETag of a command's answer, `"<revision>"`, or of a query's,
/// `"<revision>.<generation>"`, of which only the revision counts.
pub(super) fn preconditions(headers: &HeaderMap) -> Result<Vec<Precondition>, Problem> {
    let mut preconditions = Vec::new();
    for (name, any, one) in [
        (header::IF_MATCH, Precondition::Exists, Precondition::At as fn(u64) -> Precondition),
        (header::IF_NONE_MATCH, Precondition::Absent, Precondition::NotAt),
    ] {
        preconditions.extend(match single(headers, &name) {
            None => None,
            Some(Some("*")) => Some(any),
            Some(value) => Some(value.and_then(revision).map(one).ok_or_else(|| {
                Problem::malformed(text!(
                    en: "{name} takes one ETag of a book, such as \"3\" with its quotes, or *.",
                    ko: "{name} 에는 도서의 ETag 하나를 따옴표까지 그대로(예: \"3\") 넣거나 * 를 넣으십시오."
                ))
            })?),
        });
    }
    Ok(preconditions)
}

fn revision(etag: &str) -> Option<u64> {
    let tag = etag.strip_prefix('"')?.strip_suffix('"')?;
    let (revision, generation) = tag.split_once('.').unwrap_or((tag, "0"));
    let is_number =
        |text: &str| (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(revision) && is_number(generation)).then(|| revision.parse().ok()).flatten()
}

/// Whether it is a W3C trace context of version 00: `00-<trace id>-<parent id>-<flags>` in lower-case hex.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let set = |part: &str, length: usize| hex(part, length) && part.bytes().any(|byte| byte != b'0');
    match text.split('-').collect::<Vec<_>>()[..] {
        ["00", trace, parent, flags] => set(trace, 32) && set(parent, 16) && hex(flags, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &HeaderName, values: &[&[u8]]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn a_key_is_a_word_or_the_same_word_in_quotes() {
        let parse = |values: &[&[u8]]| key(&headers(&IDEMPOTENCY_KEY, values)).ok();
        assert_eq!(parse(&[b"abc-1"]), Some(Key::from_client("abc-1")));
        assert_eq!(parse(&[b"\"abc-1\""]), Some(Key::from_client("abc-1")));
        assert_eq!(parse(&[]), Some(None));
        for bad in [&b""[..], b"\"\"", b"a b", b"\"abc", b"\xea\xb0\x80", &[b'k'; 256]] {
            assert_eq!(parse(&[bad]), None, "{bad:?}");
        }
        assert_eq!(parse(&[b"a", b"b"]), None);
    }

    #[test]
    fn a_condition_compares_revisions_and_nothing_else() {
        let parse = |value: &str| preconditions(&headers(&header::IF_MATCH, &[value.as_bytes()]));
        assert_eq!(parse("\"3\"").unwrap(), [Precondition::At(3)]);
        assert_eq!(parse("\"3.7\"").unwrap(), [Precondition::At(3)]);
        assert_eq!(parse("*").unwrap(), [Precondition::Exists]);
        assert_eq!(preconditions(&HeaderMap::new()).unwrap(), []);
        let mut both = headers(&header::IF_NONE_MATCH, &[b"*"]);
        assert_eq!(preconditions(&both).unwrap(), [Precondition::Absent]);
        both.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"4\""));
        both.insert(header::IF_MATCH, HeaderValue::from_static("*"));
        assert_eq!(preconditions(&both).unwrap(), [Precondition::Exists, Precondition::NotAt(4)]);
        for bad in ["3", "\"\"", "\"a\"", "\"+3\"", "\"3.\"", "\"3.x\"", "W/\"3\"", "\"3\", \"4\"", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_whole_trace_context_is_carried_on() {
        assert!(is_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
