//! How much one process takes on at once, and from one client: what is more is turned away at once, and told when to
//! come back.

mod client;
mod rate;

use crate::problem::Kind;
use crate::{Problem, Text, text};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
pub use client::Peer;
use rate::Rate;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// 503: the service has as much to do as it can.
pub(crate) static OVERLOADED: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "overloaded",
    Text::fixed("Too much to do at once", "한꺼번에 너무 많은 요청이 왔습니다"),
);

/// 429: this client has sent more than its share.
pub(crate) static TOO_MANY_REQUESTS: Kind = Kind::new(
    StatusCode::TOO_MANY_REQUESTS,
    "too-many-requests",
    Text::fixed("Too many requests", "요청이 너무 많습니다"),
)
.carrying(&[
    ("RateLimit-Policy", "How many requests (q) one client may send in so many seconds (w)."),
    ("RateLimit", "How many of them are left (r), until so many seconds (t) are over."),
]);

/// What every operation may answer because of limits.
pub(crate) static PROBLEMS: [&Kind; 2] = [&OVERLOADED, &TOO_MANY_REQUESTS];

/// How much a process takes on; each is a flag or an environment variable, and the flag wins.
#[derive(Clone, Debug, clap::Args)]
pub struct LimitSettings {
    /// How many requests a second one client may send on average; no limit if it is not given.
    #[arg(long, env = "RATE_LIMIT", value_name = "PER_SECOND")]
    pub rate_limit: Option<NonZeroU32>,

    /// Which proxies are believed when they say, in X-Forwarded-For, whom a request comes from; may be given again.
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "IP", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpAddr>,

    /// How many requests may be under way at once; more are turned away with 503.
    #[arg(long, env = "MAX_IN_FLIGHT", value_name = "COUNT", default_value = "1024",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_in_flight: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self { rate_limit: None, trusted_proxies: Vec::new(), max_in_flight: 1_024 }
    }
}

/// The limits of one process, whatever it listens for. Clones share them.
#[derive(Clone)]
pub struct Limits(Arc<Shared>);

struct Shared {
    rate: Option<Rate>,
    trusted_proxies: Vec<IpAddr>,
    in_flight: Semaphore,
}

impl Limits {
    /// As the `settings` say; nothing is under way yet.
    #[must_use]
    pub fn new(settings: &LimitSettings) -> Self {
        Self(Arc::new(Shared {
            rate: settings.rate_limit.map(Rate::new),
            trusted_proxies: settings.trusted_proxies.clone(),
            in_flight: Semaphore::new(usize::try_from(settings.max_in_flight).unwrap_or(usize::MAX)),
        }))
    }

    /// Puts them around `routes`.
    pub(crate) fn around(&self, routes: Router) -> Router {
        let limits = self.clone();
        routes.layer(middleware::from_fn(move |request, next| limited(limits.clone(), request, next)))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(&LimitSettings::default())
    }
}

async fn limited(Limits(limits): Limits, request: Request, next: Next) -> Response {
    let Ok(_permit) = limits.in_flight.try_acquire() else { return overloaded().into_response() };
    let Some(rate) = &limits.rate else { return next.run(request).await };
    let client = client::of(&request, &limits.trusted_proxies);
    match rate.spend(client) {
        Ok(standing) => {
            let mut response = next.run(request).await;
            standing.tell(response.headers_mut());
            response
        }
        Err(exceeded) => exceeded.into_response(),
    }
}

/// The service has as much to do as it can.
#[must_use]
pub fn overloaded() -> Problem {
    OVERLOADED
        .because(text!(
            en: "This request changed nothing. Send it again in a moment.",
            ko: "이 요청은 아무것도 바꾸지 않았습니다. 잠시 뒤에 다시 보내십시오."
        ))
        .retry_after(1)
}
