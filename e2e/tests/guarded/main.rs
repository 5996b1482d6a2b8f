//! Production with tokens: the whole topology, two of each service behind the real gateway, with a real OpenID Connect provider. It is
//! started once, and each file here tries something on it.
#![cfg(test)]

#[path = "../../../service-kit/tests/auth/bad_tokens.rs"]
mod bad_tokens;
mod forged;
mod logs;
mod operations;
mod receiving;
mod rotation;
mod secrets;

use e2e::{Identity, Place, PlainTopology, Site};
use std::sync::Arc;

/// Where one comes in past the gateway.
const SERVICES: [&str; 6] =
    ["command-api-1", "command-api-2", "query-api-1", "query-api-2", "projector-1", "projector-2"];

/// A topology that asks for tokens, and one token for each kind of caller.
struct Guarded {
    topology: PlainTopology,
    identity: Identity,
    reader: String,
    librarian: String,
    operator: String,
}

impl Guarded {
    async fn start() -> Self {
        let place = Arc::new(Place::new());
        let identity = Identity::start(&place).await;
        let settings = [
            ("AUTH_ISSUER", identity.issuer().to_owned()),
            // So that a key which is withdrawn is soon forgotten.
            ("AUTH_KEYS_MAX_AGE", "1".to_owned()),
            ("PROMETHEUS_CLIENT", "operator".to_owned()),
            ("PROMETHEUS_CLIENT_SECRET", secrets::OF_PROMETHEUS.to_owned()),
            // As talkative as it can be, and with one more who is given a secret.
            ("RUST_LOG", "debug".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1".to_owned()),
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={}", secrets::OF_THE_COLLECTOR)),
        ];
        let topology = PlainTopology::start_in(place, &settings).await;
        let reader = identity.token("reader", "books:read").await;
        let librarian = identity.token("librarian", "books:read books:write").await;
        let operator = identity.token("operator", "ops").await;
        Self { topology, identity, reader, librarian, operator }
    }

    /// Every way in for librarians: the gateway, and each service past it with a path that reads.
    fn doors(&self) -> impl Iterator<Item = (&'static str, Site, &'static str)> {
        let path = |name: &str| if name.starts_with("command-api") { "/libraries/1" } else { "/books/1" };
        let names = ["gateway"].into_iter().chain(SERVICES).filter(|name| !name.starts_with("projector"));
        names.map(move |name| (name, self.topology.site(name), path(name)))
    }
}

#[tokio::test]
async fn production_with_tokens_lets_in_whom_it_should_and_tells_no_secret() {
    let mut guarded = Guarded::start().await;
    // With the token that it got by itself.
    guarded.topology.seen_by_prometheus().await;
    operations::each_opens_to_its_scope_and_to_nobody_else(&guarded).await;
    receiving::a_list_is_taken_from_who_may_write_and_from_nobody_else(&guarded).await;
    forged::no_bad_token_gets_in(&guarded).await;
    let withdrawn = rotation::a_key_that_is_withdrawn_is_forgotten(&mut guarded).await;
    secrets::no_log_metric_or_answer_tells_one(&guarded, &withdrawn).await;
    logs::every_line_is_a_document(&guarded);
}
