//! An OpenID Connect provider, a real and certified one, with a few programs that get tokens from it.

use crate::{Place, Process};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running provider.
#[derive(Debug)]
pub struct Identity {
    issuer: String,
    signing_key: PathBuf,
    _process: Process,
}

impl Identity {
    /// Starts one in `place`.
    ///
    /// # Panics
    /// When Node.js or its packages are missing; the message says how to get them.
    pub async fn start(place: &Place) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("identity");
        assert!(
            program.join("node_modules").exists(),
            "the identity provider is not installed: run `npm ci` in {}",
            program.display()
        );
        let mut node = Command::new("node");
        let mut process =
            Process::start(place, "identity", node.arg(program.join("provider.mjs")).arg(place.path()));
        let addr = process.listening(1).await[0];
        let signing_key = place.path().join("signing-key.pem");
        Self { issuer: format!("http://{addr}"), signing_key, _process: process }
    }

    /// The issuer, as its tokens name it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The private key that it signs with, as PEM.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn signing_key(&self) -> Vec<u8> {
        fs::read(&self.signing_key).unwrap()
    }

    /// A token for the program `client`, with the scopes that it asks for.
    ///
    /// # Panics
    /// When it gets none.
    pub async fn token(&self, client: &str, scope: &str) -> String {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http
            .post(format!("{}/token", self.issuer))
            .basic_auth(client, Some(format!("{client}-secret")))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("grant_type=client_credentials&scope={}", scope.replace(' ', "+")));
        let answer = request.send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token in {answer}")).to_owned()
    }
}
