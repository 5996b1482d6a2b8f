//! Whether a token is valid, by the rules of RFC 8725 (JWT Best Current Practices) and RFC 9068 (JWT access tokens).
//!
//! The issuer's keys decide which algorithms there are, never the token; what the token's header says about keys
//! (`jku`, `jwk`, `x5u`, `x5c`) is not even looked at.

use super::access::Scope;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use std::sync::Arc;

/// The longest token that is looked at, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// By how many seconds the issuer's clock and ours may differ.
const LEEWAY_SECS: u64 = 30;

/// The smallest RSA modulus that is believed, in bytes (RFC 7518, section 3.3).
const MIN_RSA_BYTES: usize = 256;

/// The longest name of a caller, in bytes.
const MAX_SUBJECT_BYTES: usize = 255;

/// Who a valid token is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    subject: Arc<str>,
    scopes: Vec<Scope>,
}

impl Caller {
    /// The token's `sub`: the issuer's pseudonym for whoever calls.
    #[must_use]
    pub fn subject(&self) -> &Arc<str> {
        &self.subject
    }

    /// Whether the token allows what needs `scope`.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// Why a token is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// It is signed with a key that the issuer did not have when its keys were read.
    #[error("it is signed with a key that the issuer does not have")]
    UnknownKey,
    /// It breaks a rule, whatever the keys are.
    #[error("{0}")]
    Broken(String),
}

impl From<&str> for Invalid {
    fn from(why: &str) -> Self {
        Self::Broken(why.to_owned())
    }
}

/// One key of the issuer, and what it may sign.
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
}

impl Key {
    /// The key that a JSON Web Key describes, if it is one that tokens are verified with.
    pub(super) fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let for_signatures = common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
        let to_verify = common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !for_signatures || !to_verify {
            return None;
        }
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        let mut algorithms = algorithms(jwk, &decoding)?;
        if let Some(named) = common.key_algorithm {
            let named = named.to_string().parse::<Algorithm>().ok()?;
            algorithms.retain(|algorithm| *algorithm == named);
        }
        (!algorithms.is_empty()).then(|| Self { id: common.key_id.clone(), algorithms, decoding })
    }
}

/// What a key of this kind may sign. There is no shared secret among them: whoever could check it could forge it.
fn algorithms(jwk: &Jwk, decoding: &DecodingKey) -> Option<Vec<Algorithm>> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => {
            let long_enough = match decoding.kind() {
                jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() >= MIN_RSA_BYTES,
                jsonwebtoken::DecodingKeyKind::SecretOrDer(_) => false,
            };
            long_enough.then(|| vec![RS256, RS384, RS512, PS256, PS384, PS512])
        }
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => Some(vec![ES256]),
            EllipticCurve::P384 => Some(vec![ES384]),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(curve) if curve.curve == EllipticCurve::Ed25519 => {
            Some(vec![EdDSA])
        }
        _ => None,
    }
}

/// What is believed of a token once its signature is.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    scope: Option<Scopes>,
    #[serde(default)]
    scp: Option<Scopes>,
}

/// Issuers write scopes as one text (RFC 9068), or as a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

impl Scopes {
    fn name(&self, scope: Scope) -> bool {
        match self {
            Self::Text(text) => text.split(' ').any(|name| name == scope.as_str()),
            Self::List(list) => list.iter().any(|name| name == scope.as_str()),
        }
    }
}

/// Who `token` is of, if one of `keys` signed it and it is meant for `audience` here and now.
pub(super) fn verify(token: &str, keys: &[Key], issuer: &str, audience: &str) -> Result<Caller, Invalid> {
    if token.len() > MAX_BYTES {
        return Err("it is too long".into());
    }
    let header = decode_header(token).map_err(|_| Invalid::from("it is not a signed JWT"))?;
    check_header(&header)?;
    let key = find(keys, &header)?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY_SECS;
    validation.validate_nbf = true;
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let decoded = decode::<Claims>(token, &key.decoding, &validation).map_err(|error| match error.kind() {
        // A key without a name is known by its signatures alone.
        ErrorKind::InvalidSignature if header.kid.is_none() => Invalid::UnknownKey,
        _ => Invalid::Broken(error.to_string()),
    });
    let claims = decoded?.claims;
    let named = |scope: &Scope| {
        let lists = [&claims.scope, &claims.scp];
        lists.into_iter().flatten().any(|list| list.name(*scope))
    };
    let scopes = Scope::ALL.into_iter().filter(named).collect();
    let subject = claims.sub;
    let plain = subject.bytes().all(|byte| byte.is_ascii_graphic());
    if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES || !plain {
        return Err("its sub is not a name of 1 to 255 visible characters".into());
    }
    Ok(Caller { subject: subject.into(), scopes })
}

fn check_header(header: &Header) -> Result<(), Invalid> {
    let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
    // RFC 9068 wants at+jwt; some issuers still write JWT. Anything else is a token for another purpose.
    if !matches!(kind.as_deref(), Some("at+jwt" | "application/at+jwt" | "jwt")) {
        return Err("it is not an access token".into());
    }
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err("it asks for an extension that is not supported".into());
    }
    Ok(())
}

/// The key that the header names. A token that names none is believed only if there is just one key to try.
fn find<'a>(keys: &'a [Key], header: &Header) -> Result<&'a Key, Invalid> {
    let mut named = keys.iter().filter(|key| header.kid.is_none() || key.id == header.kid).peekable();
    if named.peek().is_none() {
        return Err(Invalid::UnknownKey);
    }
    if header.kid.is_none() && keys.len() > 1 {
        return Err("it does not say which key it is signed with".into());
    }
    named.find(|key| key.algorithms.contains(&header.alg)).ok_or_else(|| match header.kid {
        Some(_) => "its algorithm is not one of that key".into(),
        None => Invalid::UnknownKey,
    })
}
