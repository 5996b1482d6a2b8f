//! Problem documents, RFC 9457: the one shape of every HTTP error.

use crate::{Language, Text, text};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What begins the type of every problem.
pub const TYPE_PREFIX: &str = "urn:bookstock:problem:";

/// One type of problem: `urn:bookstock:problem:<name>`, with the status it is answered with, its title, and the headers that its
/// answers carry besides those of all.
#[derive(Debug)]
pub struct Kind {
    name: &'static str,
    status: StatusCode,
    title: Text,
    headers: &'static [(&'static str, &'static str)],
}

/// 400: the request cannot be read at all.
pub static MALFORMED: Kind = Kind::new(
    StatusCode::BAD_REQUEST,
    "malformed-request",
    Text::fixed("The request cannot be read", "요청을 읽을 수 없습니다"),
);

/// 422: readable, but a field is unknown, missing or out of its range.
pub static INVALID: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "invalid-field",
    Text::fixed("A field is not acceptable", "받을 수 없는 필드가 있습니다"),
);

/// 404: no such route.
pub static NO_SUCH_ROUTE: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "no-such-route",
    Text::fixed("There is nothing here", "여기에는 아무것도 없습니다"),
);

/// 405: the path exists, the method does not.
pub static METHOD_NOT_ALLOWED: Kind = Kind::new(
    StatusCode::METHOD_NOT_ALLOWED,
    "method-not-allowed",
    Text::fixed("This path does not take that method", "이 경로에서 쓸 수 없는 메서드입니다"),
)
.carrying(&[("Allow", "The methods that this path takes.")]);

/// 500: a fault of ours.
pub static INTERNAL: Kind = Kind::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    Text::fixed("The server failed", "서버에 문제가 생겼습니다"),
);

impl Kind {
    /// The problem of type `urn:bookstock:problem:<name>`; `name` is kebab-case.
    #[must_use]
    pub const fn new(status: StatusCode, name: &'static str, title: Text) -> Self {
        Self { name, status, title, headers: &[] }
    }

    /// The same; its answers carry these headers too, each with what it tells. [`Problem::header`] sets them.
    #[must_use]
    pub const fn carrying(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    /// A problem of this kind. `detail` says what happened, why, and what to do next.
    #[must_use]
    pub fn because(&'static self, detail: Text) -> Problem {
        Problem { kind: self, detail, members: Map::new(), headers: Vec::new() }
    }

    /// The last part of its type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of its own, each with what it tells.
    #[must_use]
    pub fn headers(&self) -> &'static [(&'static str, &'static str)] {
        self.headers
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn title(&self) -> &Text {
        &self.title
    }
}

/// An error as a client sees it: `type` `urn:bookstock:problem:<name>`, `title`, `status`, `detail`, and members of
/// its own.
///
/// Title and detail are for people, in the language that they ask for, and may change; the type is stable.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: &'static Kind,
    detail: Text,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// 400: the request cannot be read at all.
    #[must_use]
    pub fn malformed(detail: Text) -> Self {
        MALFORMED.because(detail)
    }

    /// 422: readable, but a field is unknown, missing or out of its range.
    #[must_use]
    pub fn invalid(detail: Text) -> Self {
        INVALID.because(detail)
    }

    /// 404: no such route.
    #[must_use]
    pub fn no_such_route() -> Self {
        NO_SUCH_ROUTE.because(text!(
            en: "This service has no such path; /openapi.json lists the paths it has.",
            ko: "이 서비스에 없는 경로입니다. 있는 경로는 /openapi.json 에 있습니다."
        ))
    }

    /// 405: the path exists, the method does not.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        METHOD_NOT_ALLOWED.because(text!(
            en: "The Allow header names the methods it takes.",
            ko: "쓸 수 있는 메서드는 Allow 헤더에 있습니다."
        ))
    }

    /// 500: a fault of ours; the cause goes to the log, never to the client.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed for a reason of our own");
        INTERNAL.because(text!(
            en: "This is a fault of the server; its log has the cause.",
            ko: "서버의 잘못입니다. 원인은 서버 로그에 있습니다."
        ))
    }

    /// Adds a member of the problem's own, such as `field` or `position`.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// Adds a response header; a value that no header can carry is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Tells the client to come back after so many seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, &seconds.to_string())
    }

    /// What kind of problem it is.
    #[must_use]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status
    }

    /// The last part of its type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// What happened, why, and what to do next.
    #[must_use]
    pub fn detail(&self) -> &Text {
        &self.detail
    }

    /// The members of its own.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// The headers that its answer carries.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The document itself, in `language`.
    #[must_use]
    pub fn document(&self, language: Language) -> Map<String, Value> {
        let mut document = self.members.clone();
        document.insert("type".to_owned(), json!(format!("{TYPE_PREFIX}{}", self.kind.name)));
        document.insert("title".to_owned(), json!(self.kind.title.get(language)));
        document.insert("status".to_owned(), json!(self.kind.status.as_u16()));
        document.insert("detail".to_owned(), json!(self.detail.get(language)));
        document
    }

    /// The answer in `language`.
    fn respond(&self, language: Language) -> Response {
        let document = self.document(language);
        let facts = [
            (header::CONTENT_TYPE, MEDIA_TYPE),
            (header::CONTENT_LANGUAGE, language.tag()),
            (header::VARY, "Accept-Language"),
        ];
        let mut response = (self.kind.status, facts, Value::Object(document).to_string()).into_response();
        let headers = response.headers_mut();
        headers.extend(self.headers.iter().cloned());
        // What is wrong now need not be later. A 404 would be kept by who is told nothing.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }
}

/// In English. The edge of a service, which knows what its client asked for, says it again in another language.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.respond(Language::English);
        response.extensions_mut().insert(self);
        response
    }
}

/// The same answer; if it is a problem, in `language`. What layers on the way have added to its headers stays.
pub(crate) fn in_language(mut response: Response, language: Language) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    if language != Language::English {
        let (said, body) = problem.respond(language).into_parts();
        response
            .headers_mut()
            .insert(header::CONTENT_LANGUAGE, said.headers[header::CONTENT_LANGUAGE].clone());
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = body;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    static BEHIND: Kind = Kind::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "projection-behind",
        Text::fixed("Behind", "뒤처져 있습니다"),
    );

    async fn document(response: Response) -> Value {
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    fn behind() -> Problem {
        BEHIND.because(text!(en: "Wait.", ko: "기다리십시오.")).with("position", "42").retry_after(1)
    }

    #[tokio::test]
    async fn a_problem_is_an_rfc_9457_document_with_its_own_members_and_headers() {
        let response = behind().into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["content-language"], "en");
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(
            document(response).await,
            json!({"type": "urn:bookstock:problem:projection-behind", "title": "Behind", "status": 503, "detail": "Wait.", "position": "42"})
        );
    }

    #[tokio::test]
    async fn in_another_language_only_title_and_detail_change() {
        let response = in_language(behind().into_response(), Language::Korean);
        assert_eq!(response.headers()["content-language"], "ko");
        assert_eq!(response.headers()["vary"], "Accept-Language");
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(
            document(response).await,
            json!({"type": "urn:bookstock:problem:projection-behind", "title": "뒤처져 있습니다", "status": 503, "detail": "기다리십시오.", "position": "42"})
        );
    }
}
