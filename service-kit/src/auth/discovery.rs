//! Asking an issuer for its keys: OpenID Connect Discovery 1.0, then its JSON Web Key Set (RFC 7517).

use super::settings::{Issuer, is_protected};
use super::token::Key;
use jsonwebtoken::jwk::Jwk;
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// How long the issuer may take for each of its two answers.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The largest answer that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// Why the keys were not learnt.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    /// The issuer did not answer as it should.
    #[error("{url}: {reason}")]
    NoAnswer { url: String, reason: String },
    /// It describes somebody else.
    #[error("{url} describes the issuer {found:?}, not {expected:?}")]
    OtherIssuer { url: String, found: String, expected: String },
    /// Its keys could be changed on their way.
    #[error("its keys are at {0:?}, which is neither https nor on this machine")]
    Unprotected(String),
    /// It has no key that a token could be verified with.
    #[error("{0} has no key that can verify a signature")]
    NoKey(String),
}

#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// A client that follows no redirect, and so asks nobody but whom it was told to.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).no_proxy().build()
}

/// The keys that the issuer signs with now.
pub(super) async fn keys(client: &Client, issuer: &Issuer) -> Result<Vec<Key>, DiscoveryError> {
    let url = issuer.discovery_url();
    let description: Description = get(client, &url).await?;
    if description.issuer != issuer.as_str() {
        let (found, expected) = (description.issuer, issuer.to_string());
        return Err(DiscoveryError::OtherIssuer { url, found, expected });
    }
    let url = description.jwks_uri;
    if !url.parse::<Url>().is_ok_and(|url| is_protected(&url)) {
        return Err(DiscoveryError::Unprotected(url));
    }
    let set: KeySet = get(client, &url).await?;
    // A key of a kind that we do not know must not hide the others.
    let known = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    let keys: Vec<Key> = known.filter_map(|jwk| Key::of(&jwk)).collect();
    if keys.is_empty() {
        return Err(DiscoveryError::NoKey(url));
    }
    Ok(keys)
}

async fn get<T: DeserializeOwned>(client: &Client, url: &str) -> Result<T, DiscoveryError> {
    let failed = |reason: String| DiscoveryError::NoAnswer { url: url.to_owned(), reason };
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.map_err(|error| failed(error.without_url().to_string()))?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(error.without_url().to_string()))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(failed(format!("the answer is longer than {MAX_BYTES} bytes")));
        }
    }
    serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
}
