//! Every operation that the services' own documents name, with every kind of caller: S4.

use crate::{Guarded, SERVICES};
use e2e::{PATIENCE, Site};
use reqwest::{Client, Method};

/// What a request needs, as the design says; the documents have to say the same.
fn needed(method: &Method, path: &str) -> Option<&'static str> {
    match path {
        "/" | "/livez" | "/readyz" | "/openapi.json" | "/docs" => None,
        _ if path.starts_with("/.well-known/") || path.starts_with("/web/") => None,
        "/metrics" => Some("ops"),
        _ if *method == Method::GET => Some("books:read"),
        _ => Some("books:write"),
    }
}

/// The operations of a service, by its own document, each with the scope that this names; and its metrics, which the documents of
/// what is behind the gateway leave out.
async fn operations(service: &Site) -> Vec<(Method, String, Option<String>)> {
    let document = service.get("/openapi.json").await.json(200);
    let mut all = vec![(Method::GET, "/metrics".to_owned(), Some("ops".to_owned()))];
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
async fn status(client: &Client, url: String, method: &Method, token: Option<&str>) -> u16 {
    let mut request = client.request(method.clone(), url);
    if *method == Method::POST {
        request = request.header("content-type", "application/json").body(r#"{"qty": 1}"#);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap().status().as_u16()
}

pub(crate) async fn each_opens_to_its_scope_and_to_nobody_else(guarded: &Guarded) {
    let callers = [
        (None, ""),
        (Some(guarded.reader.as_str()), "books:read"),
        (Some(guarded.librarian.as_str()), "books:read books:write"),
        (Some(guarded.operator.as_str()), "ops"),
    ];
    let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let gateway = guarded.topology.site("gateway");
    let mut tried = 0;
    for name in SERVICES {
        let service = guarded.topology.site(name);
        for (method, path, told) in operations(&service).await {
            let scope = needed(&method, &path);
            assert_eq!(told.as_deref(), scope, "the document of {name}: {method} {path}");
            let concrete = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
            let concrete = concrete.collect::<Vec<_>>().join("/");
            for (site, by_gateway) in [(&service, false), (&gateway, true)] {
                for (token, scopes) in callers {
                    let status = status(&client, site.url(&concrete), &method, token).await;
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
                    let by = if by_gateway { "the gateway" } else { name };
                    assert!(holds, "{method} {path} with {scopes:?} at {by}: {status}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 500, "only {tried} requests were tried");
}
