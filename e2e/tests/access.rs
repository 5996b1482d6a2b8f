//! Who gets into `bookstock up`, with a real OpenID Connect provider. Production is tried in `guarded`.
#![cfg(test)]

use e2e::{Answer, Identity, Place, Site, System, eventually};
use event_store::{Direction, EventStore as _, Kurrent, Options, Start};
use reqwest::Method;
use serde_json::Value;
use std::sync::Arc;

async fn guarded() -> (System, Identity) {
    let place = Arc::new(Place::new());
    let identity = Identity::start(&place).await;
    let system = System::start_with(place, &[("AUTH_ISSUER", identity.issuer())]).await;
    (system, identity)
}

async fn send(site: &Site, method: Method, path: &str, token: Option<&str>) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let body = if method == Method::POST { r#"{"qty": 1}"# } else { "" };
    site.send(method, path, &headers, body).await
}

#[tokio::test]
async fn each_route_opens_to_whom_its_table_names() {
    let (system, identity) = guarded().await;
    let reader = identity.token("reader", "books:read").await;
    let librarian = identity.token("librarian", "books:read books:write").await;
    let operator = identity.token("operator", "ops").await;
    let callers = [None, Some(reader.as_str()), Some(librarian.as_str()), Some(operator.as_str())];
    let (get, post) = (Method::GET, Method::POST);
    for part in ["gateway", "commandApi"] {
        let site = Site::new(system.address(part));
        for (method, path, statuses) in [
            (&get, "/livez", [200, 200, 200, 200]),
            (&get, "/readyz", [200, 200, 200, 200]),
            (&get, "/metrics", [401, 403, 403, 200]),
            (&post, "/books/1/warehousings", [401, 403, 201, 403]),
            (&post, "/books/1/nothing", [401, 403, 404, 403]),
            (&get, "/libraries/1", [401, 200, 200, 403]),
        ] {
            for (caller, status) in callers.iter().zip(statuses) {
                let answer = send(&site, method.clone(), path, *caller).await;
                assert_eq!(answer.status, status, "{part}: {method} {path} by {caller:?}: {}", answer.text);
            }
        }
    }
    // Who did it stands with each event, by the one name that the token has for them.
    let patient = Options { call_timeout: e2e::PATIENCE, ..Options::default() };
    let store = Kurrent::connect(system.address("eventStore"), patient).unwrap();
    let events = store.read_stream("book-1", Start::Beginning, Direction::Forwards, 10).await.unwrap();
    assert_eq!(events.len(), 2, "one by the gateway, and one by the command API itself");
    for event in events {
        let metadata: Value = serde_json::from_slice(&event.metadata).unwrap();
        assert_eq!(metadata["actor"], Identity::subject(&librarian), "{metadata}");
    }
    for part in ["gateway", "queryApi", "admin"] {
        let site = Site::new(system.address(part));
        for (path, statuses) in [("/books", [401, 200, 200, 403]), ("/admins", [401, 200, 200, 403])] {
            for (caller, status) in callers.iter().zip(statuses) {
                let answer = send(&site, Method::GET, path, *caller).await;
                assert_eq!(answer.status, status, "{part}: GET {path} by {caller:?}: {}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn with_an_issuer_a_service_may_be_reached_by_others() {
    let place = Arc::new(Place::new());
    let identity = Identity::start(&place).await;
    let mut up =
        System::up_on(&place, |part| if part == "gateway" { "0.0.0.0:0" } else { "127.0.0.1:0" }.to_owned());
    up.env("AUTH_ISSUER", identity.issuer());
    let mut launcher = e2e::Process::start(&place, "bookstock", &mut up);
    eventually("it is ready", async || {
        assert!(launcher.is_running(), "it ended");
        let written = std::fs::read(place.path().join("data/bookstock.json"));
        written.map(drop).map_err(|error| error.to_string())
    })
    .await;
}
