//! Reading a JSON body, and telling apart what can be wrong with it.

use crate::problem::Kind;
use crate::{Problem, Text, text};
use axum::RequestExt as _;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::LengthLimitError;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use std::error::Error;
use std::time::Duration;

/// 415: the body is in a format that nobody here reads.
pub static UNSUPPORTED_MEDIA_TYPE: Kind = Kind::new(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "unsupported-media-type",
    Text::fixed("The body is in a format that is not taken here", "여기에서 받지 않는 형식의 본문입니다"),
);

/// 413: the body is larger than this route takes.
pub static BODY_TOO_LARGE: Kind = Kind::new(
    StatusCode::PAYLOAD_TOO_LARGE,
    "body-too-large",
    Text::fixed("The body is too large", "본문이 너무 큽니다"),
);

/// 415: the body is packed.
pub static UNSUPPORTED_ENCODING: Kind = Kind::new(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "unsupported-content-encoding",
    Text::fixed("The body is packed", "압축된 본문은 받지 않습니다"),
);

/// 408: the body does not come.
pub static BODY_TOO_SLOW: Kind = Kind::new(
    StatusCode::REQUEST_TIMEOUT,
    "body-too-slow",
    Text::fixed("The body comes too slowly", "본문이 너무 느리게 옵니다"),
);

/// How long a body of a few kilobytes may take.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// The largest body that a route takes, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// How deep a body may nest: deeper than any that means something.
const MAX_DEPTH: usize = 16;

/// Refuses a packed body: nothing here is unpacked, and so nothing can grow.
///
/// # Errors
/// 415, if the headers say that it is packed.
pub fn unpacked(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get_all(header::CONTENT_ENCODING).iter().all(|packed| packed == "identity") {
        return Ok(());
    }
    Err(UNSUPPORTED_ENCODING.because(text!(
        en: "Send the body as it is, without Content-Encoding.",
        ko: "Content-Encoding 없이 본문을 그대로 보내십시오."
    )))
}

/// Refuses JSON that nests too deep. Whether it is JSON at all is not looked at.
///
/// # Errors
/// 400, if it does.
pub fn shallow(json: &[u8]) -> Result<(), Problem> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Problem::malformed(text!(
                en: "The JSON nests deeper than {MAX_DEPTH} levels.",
                ko: "JSON 이 {MAX_DEPTH}단계보다 깊이 겹칩니다."
            )));
        }
    }
    Ok(())
}

/// A JSON object read as `T`. What is refused, and how: not JSON by its content type 415, too large 413, too slow 408, too
/// deep or not well formed 400, a field that is unknown, missing, doubled or of the wrong type 422.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        unpacked(request.headers())?;
        if !is_json(request.headers()) {
            return Err(UNSUPPORTED_MEDIA_TYPE.because(text!(
                en: "Send JSON, with Content-Type: application/json.",
                ko: "Content-Type: application/json 으로 JSON을 보내십시오."
            )));
        }
        let (_, bytes) = whole(request).await?;
        parse(&bytes).map(JsonBody)
    }
}

/// The request without its body, and all of that.
///
/// # Errors
/// 408 if it comes too slowly, 413 if it is larger than the route takes, 400 if it breaks off.
pub async fn whole(request: Request) -> Result<(Parts, Bytes), Problem> {
    let (parts, body) = request.with_limited_body().into_parts();
    let read = tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(body, usize::MAX)).await;
    let bytes = read
        .map_err(|_| {
            let seconds = BODY_WITHIN.as_secs();
            BODY_TOO_SLOW.because(text!(
                en: "It was not complete after {seconds} s; send it again.",
                ko: "{seconds}초가 지나도 다 오지 않았습니다. 다시 보내십시오."
            ))
        })?
        .map_err(|error| {
            let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
            if causes.any(<dyn Error>::is::<LengthLimitError>) {
                return BODY_TOO_LARGE.because(text!(
                    en: "A body has at most {BODY_LIMIT} bytes here; send a smaller one.",
                    ko: "여기에서 본문은 {BODY_LIMIT}바이트까지입니다. 더 작은 본문을 보내십시오."
                ));
            }
            Problem::malformed(text!(
                en: "The body ended before it was complete; send it again.",
                ko: "본문이 끝나기 전에 끊겼습니다. 다시 보내십시오."
            ))
        })?;
    Ok((parts, bytes))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        Problem::malformed(text!(
            en: "The body is not well-formed JSON: {error}.",
            ko: "본문이 올바른 JSON이 아닙니다({line}번째 줄 {column}번째 칸: {error})."
        ))
    };
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::malformed(text!(
            en: "The body is empty; send a JSON object.",
            ko: "본문이 비어 있습니다. JSON 객체를 보내십시오."
        )));
    }
    shallow(bytes)?;
    // Reading into a type stops at the first wrong field and would take an array for an object, so the form
    // is looked at first.
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(malformed)?;
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::invalid(text!(
            en: "The body must be a JSON object.",
            ko: "본문은 JSON 객체여야 합니다."
        )));
    }
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => Problem::invalid(text!(
            en: "The body does not have its shape: {error}.",
            ko: "본문의 형식이 맞지 않습니다({error})."
        )),
        Category::Syntax | Category::Eof | Category::Io => malformed(error),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use serde::Deserialize;
    use tower::ServiceExt as _;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        qty: u32,
    }

    async fn send(content_type: &str, body: impl Into<Body>) -> StatusCode {
        let route = post(|JsonBody(order): JsonBody<Order>| async move { order.qty.to_string() });
        let request = Request::post("/").header("content-type", content_type).body(body.into()).unwrap();
        Router::new().route("/", route).oneshot(request).await.unwrap().status()
    }

    #[test]
    fn an_empty_body_is_told_to_be_empty() {
        for empty in ["", " \n"] {
            let Err(problem) = parse::<Order>(empty.as_bytes()) else { panic!("{empty:?} was taken") };
            assert_eq!(problem.name(), "malformed-request");
            assert_eq!(problem.detail().en, "The body is empty; send a JSON object.");
        }
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(shallow(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(shallow(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(shallow(br#"{"name": "[[[[[[[[[[[[[[[[[[[[\"{{{{{{{{{{{{{{{{{{{{"}"#).is_ok());
        assert!(shallow(format!("[{}]", "[],".repeat(1_000)).as_bytes()).is_ok());
    }

    #[tokio::test]
    async fn each_kind_of_bad_body_has_its_own_status() {
        let json = "application/json; charset=utf-8";
        assert_eq!(send(json, r#"{"qty":1}"#).await, 200);
        assert_eq!(send("text/plain", r#"{"qty":1}"#).await, 415);
        assert_eq!(send(json, r#"{"qty":1"#).await, 400);
        assert_eq!(send(json, &b"{\"qty\":\xff}"[..]).await, 400);
        assert_eq!(send(json, "[".repeat(100_000)).await, 400);
        assert_eq!(send(json, r#"{"qty":1}, {"#).await, 400);
        assert_eq!(send(json, "[1]").await, 422);
        assert_eq!(send(json, format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))).await, 400);
        assert_eq!(send(json, r#"{"qty":-1}"#).await, 422);
        assert_eq!(send(json, r#"{"qty":1,"qty":2}"#).await, 422);
        assert_eq!(send(json, r#"{"qty":1,"quantity":2}"#).await, 422);
        assert_eq!(send(json, " ".repeat(3 << 20)).await, 413);
    }
}
