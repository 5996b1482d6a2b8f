//! A guarded service, and the tokens that are sent to it.

use crate::bad_tokens;
use crate::issuer::{Issuer, Pair};
use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{Request, Response};
use axum::routing::get;
use clap::Parser;
use jsonwebtoken::{Header, encode};
use serde_json::Value;
use service_kit::auth::Caller;
use service_kit::{Auth, AuthSettings, Health, Limits, edge};
use tower::ServiceExt as _;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    auth: AuthSettings,
}

/// A service whose one path answers with the caller's name.
pub(crate) struct Service(Router);

impl Service {
    pub(crate) fn trusting(issuer: &Issuer, flags: &[&str]) -> Self {
        let args = [&["service", "--auth-issuer", &issuer.url], flags].concat();
        let auth = Auth::new(&Args::parse_from(args).auth).unwrap();
        let tell = async |Extension(caller): Extension<Caller>| caller.subject().to_string();
        let routes = Router::new().route("/books", get(tell).post(tell)).route("/status", get(tell));
        Self(edge::around("books", routes.into(), &Health::default(), &auth, &Limits::default()))
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.0.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        Answer::of(response).await
    }

    pub(crate) async fn get_with(&self, token: &str) -> Answer {
        self.send("GET", "/books", &[("authorization", &format!("Bearer {token}"))]).await
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) challenge: String,
    pub(crate) body: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let status = response.status().as_u16();
        let challenge =
            response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap());
        let challenge = challenge.to_owned();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        Self { status, challenge, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// The last part of the problem's type.
    pub(crate) fn problem(&self) -> String {
        let document: Value = serde_json::from_str(&self.body).unwrap();
        document["type"].as_str().unwrap().strip_prefix("urn:bookstock:problem:").unwrap().to_owned()
    }
}

/// The claims of a good token for reading.
pub(crate) fn claims(issuer: &Issuer) -> Value {
    bad_tokens::claims(&issuer.url)
}

/// The header of a good token that `pair` signs.
pub(crate) fn header(pair: &Pair) -> Header {
    Header { typ: Some("at+jwt".to_owned()), kid: Some(pair.kid.clone()), ..Header::new(pair.algorithm) }
}

/// A token of these claims, signed as its header says.
pub(crate) fn token(pair: &Pair, claims: &Value) -> String {
    encode(&header(pair), claims, &pair.private).unwrap()
}
