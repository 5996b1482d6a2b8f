//! The librarian's page: the files of `web/`, and the headers that keep a browser from taking anything else for it.
//!
//! Release builds carry the files; debug builds read them from the checkout at each request, so that a change is seen
//! with a reload. There is no build step and no dependency but the browser.

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use rust_embed::RustEmbed;
use service_kit::problem::NO_SUCH_ROUTE;
use service_kit::{Problem, text};
use std::fmt::Write as _;
use tower_http::compression::CompressionLayer;

#[derive(RustEmbed)]
#[folder = "web/"]
struct Files;

/// Everything comes from here and nothing else runs: no inline script or style, no text turned into markup. What is asked
/// for is asked for here, and where people log in.
fn policy(login: Option<&str>) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{}{}; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        if login.is_some() { " " } else { "" },
        login.unwrap_or_default()
    )
}

/// The headers of each file.
const PROTECTION: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    // A file may be kept, and is asked for again each time: its ETag makes that cheap.
    (header::CACHE_CONTROL, "no-cache"),
];

/// The page at `/` and its files under `/web/`. It asks for everything at the origin that it came from, so it belongs where
/// all routes are; only its logins are at `login`, the origin of the issuer, if tokens are asked for.
pub fn page(login: Option<&str>) -> Router {
    let policy = HeaderValue::from_str(&policy(login)).ok();
    let protect = move |mut response: Response| {
        response.headers_mut().extend(policy.clone().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
        std::future::ready(response)
    };
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { file("index.html", &headers) }))
        .route(
            "/web/{*name}",
            get(|Path(name): Path<String>, headers: HeaderMap| async move { file(&name, &headers) }),
        )
        .layer(map_response(protect))
        .layer(CompressionLayer::new())
}

/// The same for a service with a gateway in front of it. Who asks past the gateway gets no page: its commands would lead
/// nowhere. That a request came through, it tells itself, by the header that the links in answers are made with.
pub fn page_behind_gateway(login: Option<&str>) -> Router {
    page(login).layer(from_fn(async |request: Request, next: Next| {
        if request.headers().contains_key("x-forwarded-host") {
            return next.run(request).await;
        }
        let elsewhere = text!(
            en: "The librarian's page is at the address of the gateway in front of this service.",
            ko: "사서 화면은 이 서비스 앞에 있는 게이트웨이의 주소에 있습니다."
        );
        NO_SUCH_ROUTE.because(elsewhere).into_response()
    }))
}

fn file(name: &str, request: &HeaderMap) -> Response {
    let (Some(file), Some(content_type)) = (Files::get(name), content_type(name)) else {
        return Problem::no_such_route().into_response();
    };
    let etag = etag(&file.metadata.sha256_hash());
    let unchanged =
        request.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type)], file.data).into_response()
    };
    let headers = response.headers_mut();
    headers.extend(PROTECTION.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.extend(HeaderValue::from_str(&etag).ok().map(|etag| (header::ETAG, etag)));
    response
}

fn etag(hash: &[u8]) -> String {
    // Weak: it names the text, however it is compressed on its way.
    let mut etag = String::from("W/\"");
    for byte in hash.iter().take(12) {
        let _ = write!(etag, "{byte:02x}");
    }
    etag + "\""
}

fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use tower::ServiceExt as _;

    /// The most that a browser has to fetch for the whole page, in bytes.
    const BUDGET: usize = 100 * 1024;

    async fn ask(path: &str, known: Option<&str>) -> Response {
        let mut request = Request::get(path);
        if let Some(etag) = known {
            request = request.header("if-none-match", etag);
        }
        page(None).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn every_file_is_served_with_its_type_and_under_the_policy() {
        for name in Files::iter() {
            let path = if name == "index.html" { "/".to_owned() } else { format!("/web/{name}") };
            let response = ask(&path, None).await;
            assert_eq!(response.status(), 200, "{name}");
            assert_eq!(response.headers()["content-security-policy"], policy(None), "{name}");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{name}");
            assert_eq!(response.headers()["cache-control"], "no-cache", "{name}");
        }
        assert_eq!(ask("/", None).await.headers()["content-type"], "text/html; charset=utf-8");
    }

    #[test]
    fn the_policy_lets_nothing_in_but_the_pages_own_files_and_where_people_log_in() {
        assert_eq!(
            policy(None),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
             trusted-types 'none'"
        );
        let login = policy(Some("https://login.example"));
        assert_eq!(
            login,
            policy(None).replace("connect-src 'self'", "connect-src 'self' https://login.example")
        );
    }

    #[tokio::test]
    async fn a_file_that_has_not_changed_is_not_sent_again() {
        let first = ask("/", None).await;
        let etag = first.headers()["etag"].to_str().unwrap();
        assert_eq!(ask("/", Some(etag)).await.status(), 304);
        assert_eq!(ask("/", Some("\"another\"")).await.status(), 200);
    }

    #[tokio::test]
    async fn nothing_but_the_files_of_the_page_is_served() {
        for path in
            ["/web/nothing.js", "/web/../Cargo.toml", "/web/%2e%2e/Cargo.toml", "/web/..%2fsrc%2flib.rs"]
        {
            assert_eq!(ask(path, None).await.status(), 404, "{path}");
        }
    }

    #[tokio::test]
    async fn past_the_gateway_there_is_no_page() {
        for path in ["/", "/web/main.js"] {
            let ask = async |request: axum::http::request::Builder| {
                let request = request.body(Body::empty()).unwrap();
                page_behind_gateway(None).oneshot(request).await.unwrap().status()
            };
            assert_eq!(ask(Request::get(path)).await, 404, "{path}");
            let through = Request::get(path).header("x-forwarded-host", "books.example");
            assert_eq!(ask(through).await, 200, "{path}");
        }
    }

    #[tokio::test]
    async fn the_whole_page_is_smaller_than_a_picture() {
        let mut size = 0;
        for name in Files::iter() {
            let request = Request::get(format!("/web/{name}")).header("accept-encoding", "gzip");
            let response = page(None).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            size += axum::body::to_bytes(response.into_body(), BUDGET).await.unwrap().len();
        }
        assert!(size < BUDGET, "{size} bytes");
    }

    #[test]
    fn no_file_names_an_address_elsewhere() {
        for name in Files::iter() {
            let data = Files::get(&name).unwrap().data;
            // Names of the vocabulary of drawings are no addresses.
            let text = std::str::from_utf8(&data).unwrap().replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http:") && !text.contains("https:"), "{name}");
            for elsewhere in ["href=\"//", "src=\"//", "@import", " url(", "from \"/", "import(\""] {
                assert!(!text.contains(elsewhere), "{name} has {elsewhere}");
            }
        }
    }

    #[test]
    fn no_file_has_script_or_style_between_its_lines() {
        for name in Files::iter() {
            let data = Files::get(&name).unwrap().data;
            let text = std::str::from_utf8(&data).unwrap();
            for unsafe_words in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                " style=\"",
                " onclick=",
                "eval(",
            ] {
                assert!(!text.contains(unsafe_words), "{name} has {unsafe_words}");
            }
        }
    }
}
