//! Every bad token, at every door: S3.

use crate::Guarded;
use crate::bad_tokens::{Issued, bad_tokens, claims, sign};
use e2e::{Answer, Site};
use jsonwebtoken::EncodingKey;
use reqwest::Method;

pub(crate) async fn no_bad_token_gets_in(guarded: &Guarded) {
    let (issuer, identity) = (guarded.identity.issuer(), &guarded.identity);
    let key = EncodingKey::from_ec_pem(&identity.signing_key()).unwrap();
    let stranger = EncodingKey::from_ec_pem(&identity.strangers_key()).unwrap();
    let told = identity.told_keys().await;
    let rsa = told.iter().find(|key| key["kty"] == "RSA").unwrap();
    let issued = Issued { issuer, kid: "signing", key: &key, rsa, stranger: &stranger };
    let good = sign(&issued, &claims(issuer));
    let bad = bad_tokens(&issued);
    assert!(bad.len() >= 40, "only {} bad tokens", bad.len());
    for (door, site, path) in guarded.doors() {
        let status = site.bearing(&good).get(path).await.status;
        assert!(matches!(status, 200 | 404), "{door} refuses a good one: {status}");
        for (name, token) in &bad {
            let answer = with(&site, path, token).await;
            // HAProxy has no room for so long a header.
            let refusal = if door == "gateway" && token.len() > 16_000 { 400 } else { 401 };
            assert_eq!(answer.status, refusal, "{door}: {name}: {answer:?}");
        }
    }
    for projector in ["projector-1", "projector-2"] {
        let site = guarded.topology.site(projector);
        assert_eq!(site.bearing(&good).get("/status").await.status, 200, "{projector}");
        for (name, token) in &bad {
            assert_eq!(with(&site, "/status", token).await.status, 401, "{projector}: {name}");
        }
    }
}

async fn with(site: &Site, path: &str, token: &str) -> Answer {
    site.send(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], "").await
}
