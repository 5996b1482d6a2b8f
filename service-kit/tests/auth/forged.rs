//! Tokens that must not get in, whatever their makers know but the issuer's private keys.

use crate::issuer::{Issuer, Pair};
use crate::support::{Service, claims, header, token};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A name for each bad token, so that a failure tells which one got in.
fn bad_tokens(issuer: &Issuer, ec: &Pair, rsa: &Pair) -> Vec<(&'static str, String)> {
    let good = claims(issuer);
    let now = get_current_timestamp();
    let claiming = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        token(ec, &claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        token(ec, &claims)
    };
    let headed = |change: fn(&mut Header)| {
        let mut header = header(ec);
        change(&mut header);
        encode(&header, &good, &ec.private).unwrap()
    };
    let secret = |secret: &[u8], kid: &str| {
        let header = Header {
            kid: Some(kid.to_owned()),
            typ: Some("at+jwt".to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        encode(&header, &good, &EncodingKey::from_secret(secret)).unwrap()
    };
    let unsigned = |alg: &str| {
        format!("{}.{}.", part(&json!({"alg": alg, "typ": "at+jwt", "kid": ec.kid})), part(&good))
    };
    let valid = token(ec, &good);
    let pieces: Vec<&str> = valid.split('.').collect();
    let stranger = Pair::ec(&ec.kid);
    let public = rsa.public();
    let (n, e) = (public["n"].as_str().unwrap(), public["e"].as_str().unwrap());
    let admin = part(&{
        let mut claims = good.clone();
        claims["scope"] = json!("books:read books:write ops");
        claims
    });
    vec![
        ("empty", String::new()),
        ("no token", "x".to_owned()),
        ("two parts", format!("{}.{}", pieces[0], pieces[1])),
        ("four parts", format!("{valid}.x")),
        ("five parts, as if encrypted", "a.b.c.d.e".to_owned()),
        ("too long", format!("{valid}{}", "A".repeat(20_000))),
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg NONE with a signature", format!("{}{}", unsigned("NONE"), pieces[2])),
        ("no alg", format!("{}.{}.{}", part(&json!({"typ": "at+jwt"})), pieces[1], pieces[2])),
        ("an unknown alg", unsigned("ML-DSA-44")),
        ("signature left out", format!("{}.{}.", pieces[0], pieces[1])),
        ("signature of another token", format!("{}.{admin}.{}", pieces[0], pieces[2])),
        ("signature cut", valid[..valid.len() - 4].to_owned()),
        ("signature of zeros", format!("{}.{}.{}", pieces[0], pieces[1], URL_SAFE_NO_PAD.encode([0_u8; 64]))),
        ("payload that is no JSON", format!("{}.{}.{}", pieces[0], URL_SAFE_NO_PAD.encode("x"), pieces[2])),
        ("header that is no JSON", format!("{}.{}.{}", URL_SAFE_NO_PAD.encode("x"), pieces[1], pieces[2])),
        ("padded base64", format!("{}=.{}.{}", pieces[0], pieces[1], pieces[2])),
        ("HS256 with the RSA modulus as secret", secret(n.as_bytes(), &rsa.kid)),
        ("HS256 with the RSA key as JSON", secret(public.to_string().as_bytes(), &rsa.kid)),
        ("HS256 with modulus and exponent", secret(format!("{n}{e}").as_bytes(), &rsa.kid)),
        ("HS256 with an empty secret", secret(b"", &ec.kid)),
        ("a stranger's key under a known kid", token(&stranger, &good)),
        ("an unknown kid", headed(|header| header.kid = Some("other".to_owned()))),
        ("a kid that is a path", headed(|header| header.kid = Some("../../dev/null".to_owned()))),
        ("a kid that is SQL", headed(|header| header.kid = Some("' OR '1'='1".to_owned()))),
        ("an empty kid", headed(|header| header.kid = Some(String::new()))),
        ("no kid while there are two keys", headed(|header| header.kid = None)),
        ("an EC token under the RSA key's kid", headed(|header| header.kid = Some("rsa".to_owned()))),
        ("a key that it brings itself", {
            let mut header = header(&stranger);
            header.kid = None;
            header.jwk = serde_json::from_value(stranger.public()).unwrap();
            encode(&header, &good, &stranger.private).unwrap()
        }),
        ("a key set of its own", {
            let mut header = header(&stranger);
            header.jku = Some("http://127.0.0.1:1/jwks".to_owned());
            encode(&header, &good, &stranger.private).unwrap()
        }),
        ("another kind of token by typ", headed(|header| header.typ = Some("logout+jwt".to_owned()))),
        ("a DPoP proof by typ", headed(|header| header.typ = Some("dpop+jwt".to_owned()))),
        ("no typ", headed(|header| header.typ = None)),
        ("a critical extension", headed(|header| header.crit = Some(vec!["exp".to_owned()]))),
        ("expired", claiming("exp", json!(now - 120))),
        ("no expiry", without("exp")),
        ("an expiry that is text", claiming("exp", json!("tomorrow"))),
        ("an expiry below zero", claiming("exp", json!(-1))),
        ("not yet valid", claiming("nbf", json!(now + 120))),
        ("an nbf that is text", claiming("nbf", json!("now"))),
        ("another issuer", claiming("iss", json!("http://127.0.0.1:1"))),
        ("the issuer with a slash more", claiming("iss", json!(format!("{}/", issuer.url)))),
        ("no issuer", without("iss")),
        ("an issuer that is a number", claiming("iss", json!(7))),
        ("another audience", claiming("aud", json!("bookshop"))),
        ("other audiences", claiming("aud", json!(["bookshop", "bookstock "]))),
        ("no audience", without("aud")),
        ("an audience that is a number", claiming("aud", json!(7))),
        ("no subject", without("sub")),
        ("an empty subject", claiming("sub", json!(""))),
        ("a subject with a line break", claiming("sub", json!("a\nb"))),
        ("a subject of a kilobyte", claiming("sub", json!("a".repeat(1_024)))),
    ]
}

#[tokio::test]
async fn no_bad_token_gets_in() {
    let (ec, rsa) = (Pair::ec("ec"), Pair::rsa("rsa"));
    let issuer = Issuer::with(&[&ec, &rsa]).await;
    let service = Service::trusting(&issuer, &[]);
    assert_eq!(service.get_with(&token(&ec, &claims(&issuer))).await.status, 200);
    let bad = bad_tokens(&issuer, &ec, &rsa);
    assert!(bad.len() >= 40);
    for (name, token) in bad {
        let answer = service.get_with(&token).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (401, "token-invalid"),
            "{name}: {}",
            answer.body
        );
        assert!(answer.challenge.contains(r#"error="invalid_token""#), "{name}");
        assert!(token.len() < 20 || !answer.body.contains(&token), "{name}: the token is told");
    }
}

#[tokio::test]
async fn a_token_counts_only_in_its_one_header() {
    let pair = Pair::ec("1");
    let issuer = Issuer::with(&[&pair]).await;
    let service = Service::trusting(&issuer, &[]);
    let token = token(&pair, &claims(&issuer));
    let bearer = format!("Bearer {token}");
    for (headers, path) in [
        (vec![], format!("/books?access_token={token}")),
        (vec![("cookie", format!("access_token={token}"))], "/books".to_owned()),
        (vec![("authorization", format!("Basic {token}"))], "/books".to_owned()),
        (vec![("authorization", token.clone())], "/books".to_owned()),
        (vec![("authorization", bearer.clone()), ("authorization", bearer.clone())], "/books".to_owned()),
        (vec![("x-forwarded-authorization", bearer.clone())], "/books".to_owned()),
    ] {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(service.send("GET", &path, &headers).await.status, 401, "{path} {headers:?}");
    }
    // The scheme is not case-sensitive (RFC 9110, section 11.1).
    assert_eq!(
        service.send("GET", "/books", &[("authorization", &format!("bearer {token}"))]).await.status,
        200
    );
}
