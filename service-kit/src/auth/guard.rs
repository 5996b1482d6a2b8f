//! The guard in front of a service's routes.

use super::access::{self, Scope};
use super::keys::Keys;
use super::settings::AuthSettings;
use super::token::{self, Caller, Invalid};
use crate::listen::Exposure;
use crate::problem::Kind;
use crate::{Problem, Text, text};
use anyhow::Context as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::sync::Arc;

/// Where a service tells from whom its tokens come (RFC 9728).
pub(super) const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// How long a client should wait for an issuer that does not answer, in seconds.
const RETRY_AFTER_SECS: u32 = 5;

/// What goes with a request that is not let in.
const CHALLENGE: &[(&str, &str)] = &[("WWW-Authenticate", "What is needed instead (RFC 6750).")];

/// 401: no token came.
pub(crate) static TOKEN_REQUIRED: Kind = Kind::new(
    StatusCode::UNAUTHORIZED,
    "token-required",
    Text::fixed("A token is needed", "토큰이 필요합니다"),
)
.carrying(CHALLENGE);

/// 401: the token is not one of the issuer's, or not for us, or its time is over.
pub(crate) static TOKEN_INVALID: Kind = Kind::new(
    StatusCode::UNAUTHORIZED,
    "token-invalid",
    Text::fixed("The token is not valid", "유효하지 않은 토큰입니다"),
)
.carrying(CHALLENGE);

/// 401: nobody can say whether the token is valid.
pub(crate) static TOKEN_UNVERIFIABLE: Kind = Kind::new(
    StatusCode::UNAUTHORIZED,
    "token-unverifiable",
    Text::fixed("The token cannot be verified now", "지금은 토큰을 확인할 수 없습니다"),
)
.carrying(CHALLENGE);

/// 403: the token is valid and does not allow this.
pub(crate) static SCOPE_MISSING: Kind = Kind::new(
    StatusCode::FORBIDDEN,
    "scope-missing",
    Text::fixed("The token does not allow this", "이 토큰으로는 할 수 없는 일입니다"),
)
.carrying(CHALLENGE);

/// What a guarded operation may answer.
pub(crate) static PROBLEMS: [&Kind; 4] =
    [&TOKEN_REQUIRED, &TOKEN_INVALID, &TOKEN_UNVERIFIABLE, &SCOPE_MISSING];

/// Whether and how a service asks who calls. Cheap to clone; all clones share the issuer's keys.
#[derive(Clone)]
pub struct Auth(Means);

#[derive(Clone)]
enum Means {
    /// Nobody is asked.
    Open,
    /// The service itself asks whom it has to ask.
    Own,
    Tokens(Arc<Guard>),
}

struct Guard {
    keys: Keys,
    issuer: String,
    issuer_origin: String,
    audience: String,
    page_client: String,
}

/// Why a request is not let in.
enum Refusal {
    NoToken,
    Invalid(String),
    /// The issuer's keys are not known, and so nothing can be said for the token.
    NoKeys,
    NotAllowed(Scope),
}

impl Auth {
    /// As configured. Without an issuer nobody is asked.
    ///
    /// # Errors
    /// When no HTTP client can be set up to ask the issuer with.
    ///
    /// # Panics
    /// With an issuer, outside of a runtime: it is asked for its keys at once.
    pub fn new(settings: &AuthSettings) -> anyhow::Result<Self> {
        let Some(issuer) = settings.issuer.clone() else { return Ok(Self::open()) };
        let guard = Guard {
            issuer: issuer.to_string(),
            issuer_origin: issuer.origin().to_owned(),
            audience: settings.audience.clone(),
            page_client: settings.page_client.clone(),
            keys: Keys::new(issuer, settings.keys_max_age()).context("no HTTP client for the issuer")?,
        };
        Ok(Self(Means::Tokens(Arc::new(guard))))
    }

    /// Nobody is asked.
    #[must_use]
    pub fn open() -> Self {
        Self(Means::Open)
    }

    /// The service has another way to ask, and says itself when it asks nobody.
    #[must_use]
    pub fn of_its_own() -> Self {
        Self(Means::Own)
    }

    fn guard(&self) -> Option<&Arc<Guard>> {
        match &self.0 {
            Means::Tokens(guard) => Some(guard),
            Means::Open | Means::Own => None,
        }
    }

    /// Whether anybody is asked for a token.
    pub(crate) fn asks(&self) -> bool {
        self.guard().is_some()
    }

    /// Where the service may listen that this guards; `insecure` is its operator's word.
    #[must_use]
    pub fn exposure(&self, insecure: bool) -> Exposure {
        if self.asks() { Exposure::Guarded } else { Exposure::unguarded(insecure) }
    }

    /// The origin of the issuer, for browsers that log in there; none if nobody is asked.
    #[must_use]
    pub fn issuer_origin(&self) -> Option<&str> {
        self.guard().map(|guard| guard.issuer_origin.as_str())
    }

    /// Puts the guard around the `routes` of `service`; if there is none, the log says so. What a route finds in its
    /// request's extensions is the [`Caller`], unless everything is open.
    pub fn around(&self, service: &'static str, routes: Router) -> Router {
        let guard = match &self.0 {
            Means::Tokens(guard) => guard,
            Means::Own => return routes,
            Means::Open => {
                tracing::warn!(service, "no AUTH_ISSUER is configured: whoever reaches it may do anything");
                return routes;
            }
        };
        let description = Json(guard.description());
        let tell = get(move || std::future::ready(description.clone()));
        routes
            .route(METADATA_PATH, tell)
            .layer(middleware::from_fn_with_state(Arc::clone(guard), let_in_or_refuse))
    }
}

async fn let_in_or_refuse(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let Some(scope) = access::needed(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    match guard.admit(request.headers(), scope).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.problem().into_response(),
    }
}

impl Guard {
    /// The caller, if its token allows what needs `scope`.
    async fn admit(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Refusal> {
        let token = bearer(headers)?;
        let keys = self.keys.current().await.ok_or(Refusal::NoKeys)?;
        let verify = |keys: &[token::Key]| token::verify(token, keys, &self.issuer, &self.audience);
        let caller = match verify(&keys) {
            // The issuer may have made a key since.
            Err(Invalid::UnknownKey) => match self.keys.other_than(&keys).await {
                Some(newer) => verify(&newer),
                None => Err(Invalid::UnknownKey),
            },
            verified => verified,
        };
        let caller = caller.map_err(|invalid| Refusal::Invalid(invalid.to_string()))?;
        if caller.may(scope) { Ok(caller) } else { Err(Refusal::NotAllowed(scope)) }
    }

    fn description(&self) -> serde_json::Value {
        json!({
            "resource": self.audience,
            "authorization_servers": [self.issuer],
            "scopes_supported": Scope::ALL.map(Scope::as_str),
            "bearer_methods_supported": ["header"],
            "page_client_id": self.page_client,
        })
    }
}

/// The one token in the `Authorization` header (RFC 6750, section 2.1). A token anywhere else is not looked for.
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else { return Err(Refusal::NoToken) };
    if given.next().is_some() {
        return Err(Refusal::Invalid("there is more than one Authorization header".to_owned()));
    }
    let (scheme, token) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refusal::NoToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(Refusal::NoToken) }
}

impl Refusal {
    /// The problem document, with the challenge of RFC 6750, section 3.
    fn problem(&self) -> Problem {
        match self {
            Self::NoToken => challenge(
                TOKEN_REQUIRED.because(text!(
                    en: "Send a token of the issuer in the header Authorization: Bearer.",
                    ko: "발급자의 토큰을 Authorization: Bearer 헤더에 넣어 보내십시오."
                )),
                "",
            ),
            Self::Invalid(why) => {
                tracing::debug!(%why, "a token was refused");
                challenge(
                    TOKEN_INVALID.because(text!(
                        en: "The token is refused: {why}. Get a new one from the issuer.",
                        ko: "토큰이 거부되었습니다({why}). 발급자에게서 새 토큰을 받으십시오."
                    )),
                    r#", error="invalid_token""#,
                )
            }
            Self::NoKeys => challenge(
                TOKEN_UNVERIFIABLE.because(text!(
                    en: "The issuer does not tell its keys, so no token can be believed. Send it again later.",
                    ko: "발급자가 키를 알려 주지 않아 토큰을 확인할 수 없습니다. 잠시 뒤에 다시 보내십시오."
                )),
                r#", error="invalid_token""#,
            )
            .retry_after(RETRY_AFTER_SECS),
            Self::NotAllowed(scope) => challenge(
                SCOPE_MISSING
                    .because(text!(
                        en: "This needs a token with the scope {scope}.",
                        ko: "{scope} 범위(scope)가 있는 토큰이 필요합니다."
                    ))
                    .with("scope", scope.as_str()),
                &format!(r#", error="insufficient_scope", scope="{scope}""#),
            ),
        }
    }
}

fn challenge(problem: Problem, error: &str) -> Problem {
    problem.header(header::WWW_AUTHENTICATE, &format!(r#"Bearer realm="bookstock"{error}"#))
}
