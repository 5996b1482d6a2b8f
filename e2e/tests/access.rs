//! Who gets in, with a real OpenID Connect provider.
#![cfg(test)]

use e2e::{Answer, Gateway, Identity, Place, Site, System, eventually};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use reqwest::Method;
use serde_json::{Value, json};
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

/// What a request needs, as the design says; the documents have to say the same.
fn needed(method: &Method, path: &str) -> Option<&'static str> {
    match path {
        "/" | "/livez" | "/readyz" | "/openapi.json" | "/docs" => None,
        _ if path.starts_with("/.well-known/") || path.starts_with("/web/") => None,
        "/metrics" | "/status" => Some("ops"),
        _ if *method == Method::GET => Some("books:read"),
        _ => Some("books:write"),
    }
}

/// The operations of a service, by its own document, each with the scope that this names.
async fn operations(service: &Site) -> Vec<(Method, String, Option<String>)> {
    let document = service.get("/openapi.json").await.json(200);
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let scope = operation["security"][0]["bearer"][0].as_str().map(str::to_owned);
            all.push((method, path.clone(), scope));
        }
    }
    all
}

/// The status alone: a stream of changes has no end.
async fn status(site: &Site, method: &Method, path: &str, token: Option<&str>) -> u16 {
    let client = reqwest::Client::builder().no_proxy().timeout(e2e::PATIENCE).build().unwrap();
    let mut request = client.request(method.clone(), site.url(path));
    if *method == Method::POST {
        request = request.header("content-type", "application/json").body(r#"{"qty": 1}"#);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn every_operation_of_the_documents_opens_to_its_scope_and_to_nobody_else() {
    let (system, identity) = guarded().await;
    let (commands, queries) = (system.listen("commandApi"), system.listen("queryApi"));
    let upstreams = |part: &str| [part.parse().unwrap(); 2];
    let gateway = Gateway::start(&system.place, upstreams(commands), upstreams(queries), &[]).await;
    gateway.ready().await;
    let mut callers = vec![(None, "")];
    for (who, scopes) in
        [("reader", "books:read"), ("librarian", "books:read books:write"), ("operator", "ops")]
    {
        callers.push((Some(identity.token(who, scopes).await), scopes));
    }
    let mut tried = 0;
    for service in [system.command_api(), system.query_api(), system.admin()] {
        for (method, path, told) in operations(&service).await {
            let scope = needed(&method, &path);
            assert_eq!(told.as_deref(), scope, "the document of {method} {path}");
            let concrete = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
            let concrete = concrete.collect::<Vec<_>>().join("/");
            for (site, by_gateway) in [(&service, false), (&gateway.site(), true)] {
                for (token, scopes) in &callers {
                    let status = status(site, &method, &concrete, token.as_deref()).await;
                    let holds = match scope {
                        // The gateway passes none of it on.
                        Some("ops") if by_gateway && path == "/metrics" => status == 404,
                        None => status != 401 && status != 403,
                        Some(_) if token.is_none() => status == 401,
                        Some(scope) if scopes.split(' ').any(|one| one == scope) => {
                            status != 401 && status != 403
                        }
                        Some(_) => status == 403,
                    };
                    assert!(holds, "{method} {path} with {scopes:?}, by the gateway {by_gateway}: {status}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 100, "only {tried} requests were tried");
}

#[tokio::test]
async fn a_token_that_a_rule_forbids_is_refused_even_under_the_right_key() {
    let (system, identity) = guarded().await;
    let key = EncodingKey::from_ec_pem(&identity.signing_key()).unwrap();
    let now = get_current_timestamp();
    let good = json!({"iss": identity.issuer(), "aud": "bookstock", "sub": "forger", "exp": now + 60, "scope": "books:read"});
    let forge = |typ: &str, change: (&str, Value)| {
        let mut claims = good.clone();
        claims[change.0] = change.1;
        let header = Header {
            typ: Some(typ.to_owned()),
            kid: Some("signing".to_owned()),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, &claims, &key).unwrap()
    };
    let nothing = || ("scope", json!("books:read"));
    for (status, token) in [
        (200, forge("at+jwt", nothing())),
        (401, forge("logout+jwt", nothing())),
        (401, forge("at+jwt", ("exp", json!(now - 60)))),
        (401, forge("at+jwt", ("nbf", json!(now + 60)))),
        (401, forge("at+jwt", ("aud", json!("another")))),
        (401, forge("at+jwt", ("iss", json!("https://example.org")))),
        (403, forge("at+jwt", ("scope", json!("openid")))),
    ] {
        let answer = send(&system.gateway(), Method::GET, "/books", Some(&token)).await;
        assert_eq!(answer.status, status, "{}", answer.text);
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
