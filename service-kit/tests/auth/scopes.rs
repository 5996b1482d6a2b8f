//! What a valid token opens.

use crate::issuer::{Issuer, Pair};
use crate::support::{Service, claims, token};
use serde_json::{Value, json};

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_name_and_nothing_else() {
    let pair = Pair::ec("1");
    let issuer = Issuer::with(&[&pair]).await;
    let service = Service::trusting(&issuer, &[]);
    for (scopes, read, write, ops) in [
        ("", 403, 403, 403),
        ("books:read", 200, 403, 403),
        ("books:write", 403, 200, 403),
        ("openid books:read books:write", 200, 200, 403),
        ("ops", 403, 403, 200),
        ("books:readx xbooks:write", 403, 403, 403),
    ] {
        let bearer = format!("Bearer {}", token(&pair, &with(claims(&issuer), "scope", json!(scopes))));
        let mut answers = Vec::new();
        for (method, path) in [("GET", "/books"), ("POST", "/books"), ("GET", "/status"), ("GET", "/metrics")]
        {
            answers.push(service.send(method, path, &[("authorization", &bearer)]).await.status);
        }
        assert_eq!(answers, [read, write, read, ops], "{scopes}");
    }
}

#[tokio::test]
async fn scopes_may_come_as_a_list_too() {
    let pair = Pair::ed("1");
    let issuer = Issuer::with(&[&pair]).await;
    let service = Service::trusting(&issuer, &[]);
    let listed = with(with(claims(&issuer), "scope", Value::Null), "scp", json!(["openid", "books:read"]));
    let answer = service.get_with(&token(&pair, &listed)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "librarian-7"));
}

#[tokio::test]
async fn what_is_missing_is_told_in_the_challenge() {
    let pair = Pair::ec("1");
    let issuer = Issuer::with(&[&pair]).await;
    let service = Service::trusting(&issuer, &[]);
    let nothing = service.send("GET", "/books", &[]).await;
    assert_eq!((nothing.status, nothing.problem().as_str()), (401, "token-required"));
    assert_eq!(nothing.challenge, r#"Bearer realm="bookstock""#);
    let bearer = format!("Bearer {}", token(&pair, &claims(&issuer)));
    let too_little = service.send("POST", "/books", &[("authorization", &bearer)]).await;
    assert_eq!((too_little.status, too_little.problem().as_str()), (403, "scope-missing"));
    assert!(too_little.challenge.contains(r#"error="insufficient_scope", scope="books:write""#));
}

#[tokio::test]
async fn probes_and_the_issuers_name_are_told_to_everybody() {
    let issuer = Issuer::with(&[&Pair::ec("1")]).await;
    let service = Service::trusting(&issuer, &["--auth-page-client", "the-page"]);
    for path in ["/livez", "/readyz"] {
        assert_eq!(service.send("GET", path, &[]).await.status, 200, "{path}");
    }
    let answer = service.send("GET", "/.well-known/oauth-protected-resource", &[]).await;
    let described: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(described["authorization_servers"], json!([issuer.url]));
    assert_eq!(described["page_client_id"], "the-page");
}
