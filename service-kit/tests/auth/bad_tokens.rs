//! Tokens that must not get in, whatever their makers know but the issuer's private keys. The tests of the whole topology send them, too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

/// An issuer, and what forgers know and do not know of it.
pub(crate) struct Issued<'a> {
    /// How it names itself.
    pub(crate) issuer: &'a str,
    /// What it calls its EC key.
    pub(crate) kid: &'a str,
    /// That key: what is signed with it is bad for another reason.
    pub(crate) key: &'a EncodingKey,
    /// Its RSA key, as it tells it to everybody.
    pub(crate) rsa: &'a Value,
    /// An EC key that it does not have.
    pub(crate) stranger: &'a EncodingKey,
}

/// The claims of a good token for reading.
pub(crate) fn claims(issuer: &str) -> Value {
    let now = get_current_timestamp();
    json!({"iss": issuer, "aud": "bookstock", "sub": "librarian-7", "iat": now, "exp": now + 600, "scope": "books:read"})
}

/// A token of these claims, signed as it should be.
pub(crate) fn sign(issued: &Issued, claims: &Value) -> String {
    encode(&header(issued.kid), claims, issued.key).unwrap()
}

/// The header of a good token.
fn header(kid: &str) -> Header {
    Header { typ: Some("at+jwt".to_owned()), kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A name for each bad token, so that a failure tells which one got in.
pub(crate) fn bad_tokens(issued: &Issued) -> Vec<(&'static str, String)> {
    let Issued { issuer, kid, key, rsa, stranger } = *issued;
    let rsa_kid = rsa["kid"].as_str().unwrap();
    let good = claims(issuer);
    let now = get_current_timestamp();
    let claiming = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        sign(issued, &claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        sign(issued, &claims)
    };
    let headed = |change: fn(&mut Header)| {
        let mut header = header(kid);
        change(&mut header);
        encode(&header, &good, key).unwrap()
    };
    let secret = |secret: &[u8], kid: &str| {
        let header = Header {
            kid: Some(kid.to_owned()),
            typ: Some("at+jwt".to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        encode(&header, &good, &EncodingKey::from_secret(secret)).unwrap()
    };
    let unsigned =
        |alg: &str| format!("{}.{}.", part(&json!({"alg": alg, "typ": "at+jwt", "kid": kid})), part(&good));
    let valid = sign(issued, &good);
    let pieces: Vec<&str> = valid.split('.').collect();
    let by_stranger = |change: fn(&mut Header, &EncodingKey)| {
        let mut header = header(kid);
        change(&mut header, stranger);
        encode(&header, &good, stranger).unwrap()
    };
    let (n, e) = (rsa["n"].as_str().unwrap(), rsa["e"].as_str().unwrap());
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
        ("HS256 with the RSA modulus as secret", secret(n.as_bytes(), rsa_kid)),
        ("HS256 with the RSA key as JSON", secret(rsa.to_string().as_bytes(), rsa_kid)),
        ("HS256 with modulus and exponent", secret(format!("{n}{e}").as_bytes(), rsa_kid)),
        ("HS256 with an empty secret", secret(b"", kid)),
        ("a stranger's key under a known kid", by_stranger(|_, _| {})),
        ("an unknown kid", headed(|header| header.kid = Some("other".to_owned()))),
        ("a kid that is a path", headed(|header| header.kid = Some("../../dev/null".to_owned()))),
        ("a kid that is SQL", headed(|header| header.kid = Some("' OR '1'='1".to_owned()))),
        ("an empty kid", headed(|header| header.kid = Some(String::new()))),
        ("no kid while there are two keys", headed(|header| header.kid = None)),
        ("an EC token under the RSA key's kid", encode(&header(rsa_kid), &good, key).unwrap()),
        (
            "a key that it brings itself",
            by_stranger(|header, stranger| {
                header.kid = None;
                header.jwk = Some(Jwk::from_encoding_key(stranger, Algorithm::ES256).unwrap());
            }),
        ),
        (
            "a key set of its own",
            by_stranger(|header, _| header.jku = Some("http://127.0.0.1:1/jwks".to_owned())),
        ),
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
        ("the issuer with a slash more", claiming("iss", json!(format!("{issuer}/")))),
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
