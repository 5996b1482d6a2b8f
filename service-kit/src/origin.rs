//! The scheme and host that a client used, for the links in answers.

use crate::{Problem, text};
use axum::extract::FromRequestParts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header, request::Parts};

/// The request's own origin, such as `http://localhost:8085`; behind a gateway the one it forwards
/// (`X-Forwarded-Proto`, `X-Forwarded-Host`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// The absolute address of `path`, which begins with a slash.
    #[must_use]
    pub fn href(&self, path: impl std::fmt::Display) -> String {
        format!("{}{path}", self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let host = first(&parts.headers, "x-forwarded-host")
            .or_else(|| first(&parts.headers, header::HOST.as_str()))
            .or_else(|| parts.uri.authority().map(Authority::as_str))
            .and_then(|host| host.parse::<Authority>().ok())
            .filter(|authority| !authority.as_str().contains('@'))
            .ok_or_else(|| {
                Problem::malformed(text!(
                    en: "The Host header is missing or is not a host.",
                    ko: "Host 헤더가 없거나 호스트 이름이 아닙니다."
                ))
            })?;
        let scheme = match first(&parts.headers, "x-forwarded-proto") {
            Some("https") => "https",
            _ => "http",
        };
        Ok(Self(format!("{scheme}://{host}")))
    }
}

/// The first of a header's comma-separated values: the one nearest to the client.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    async fn origin(headers: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::get("/books/1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Origin::from_request_parts(&mut parts, &()).await.ok().map(|origin| origin.href("/x"))
    }

    #[tokio::test]
    async fn links_point_to_where_the_client_came_in() {
        assert_eq!(origin(&[("host", "localhost:8085")]).await.as_deref(), Some("http://localhost:8085/x"));
        let forwarded = [
            ("host", "10.0.0.7:8083"),
            ("x-forwarded-host", "books.example, inner"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(origin(&forwarded).await.as_deref(), Some("https://books.example/x"));
    }

    #[tokio::test]
    async fn a_host_that_is_none_is_refused() {
        assert_eq!(origin(&[]).await, None);
        assert_eq!(origin(&[("host", "a\"><script>")]).await, None);
    }
}
