//! So many requests a second from one client, told by the `RateLimit` fields of
//! draft-ietf-httpapi-ratelimit-headers.

use super::TOO_MANY_REQUESTS;
use super::client::Client;
use crate::{Problem, text};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// After so many requests, clients that have their whole allowance back are forgotten.
const FORGET_AFTER: u32 = 4_096;

type Keyed = RateLimiter<Client, DefaultKeyedStateStore<Client>, DefaultClock, StateInformationMiddleware>;

/// An allowance for each client: `per_second` on average, and as much at once.
pub(super) struct Rate {
    limiter: Keyed,
    per_second: NonZeroU32,
    requests: AtomicU32,
}

/// What is left of a client's allowance.
pub(super) struct Standing {
    per_second: NonZeroU32,
    left: u32,
}

impl Rate {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let limiter = RateLimiter::keyed(Quota::per_second(per_second)).with_middleware();
        Self { limiter, per_second, requests: AtomicU32::new(0) }
    }

    /// Takes one request off the allowance of `client`.
    pub(super) fn spend(&self, client: Client) -> Result<Standing, Problem> {
        if self.requests.fetch_add(1, Ordering::Relaxed) % FORGET_AFTER == FORGET_AFTER - 1 {
            self.limiter.retain_recent();
        }
        let per_second = self.per_second;
        match self.limiter.check_key(&client) {
            Ok(state) => Ok(Standing { per_second, left: state.remaining_burst_capacity() }),
            Err(not_until) => {
                let wait = not_until.wait_time_from(DefaultClock::default().now());
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                let problem = TOO_MANY_REQUESTS.because(text!(
                    en: "One client may send {per_second} requests a second. Send it again in {seconds} s.",
                    ko: "클라이언트마다 1초에 {per_second}건까지 보낼 수 있습니다. {seconds}초 뒤에 다시 보내십시오."
                ));
                let Fields { policy, left } = Fields::of(per_second, 0);
                Err(problem.retry_after(seconds).header(POLICY, &policy).header(LEFT, &left))
            }
        }
    }
}

impl Standing {
    /// Tells the client.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let Fields { policy, left } = Fields::of(self.per_second, self.left);
        for (name, value) in [(POLICY, policy), (LEFT, left)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

struct Fields {
    policy: String,
    left: String,
}

impl Fields {
    fn of(per_second: NonZeroU32, left: u32) -> Self {
        Self { policy: format!("\"client\";q={per_second};w=1"), left: format!("\"client\";r={left};t=1") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_an_allowance_of_its_own_and_is_told_what_is_left() {
        let rate = Rate::new(NonZeroU32::new(2).unwrap());
        let client = |name: &str| Client::Subject(name.into());
        let mut headers = HeaderMap::new();
        rate.spend(client("a")).unwrap().tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"client\";q=2;w=1");
        assert_eq!(headers["ratelimit"], "\"client\";r=1;t=1");
        assert!(rate.spend(client("a")).is_ok());
        // At most two fit into half a second, however slow the machine is between the calls.
        let refused = (0..1_000).find_map(|_| rate.spend(client("a")).err()).unwrap();
        assert_eq!((refused.status().as_u16(), refused.name()), (429, "too-many-requests"));
        assert!(rate.spend(client("b")).is_ok());
    }
}
