//! An OpenID Connect provider, a real and certified one, with a few programs that get tokens from it.

use crate::binaries::node;
use crate::{Place, Process, Site};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A running provider.
#[derive(Debug)]
pub struct Identity {
    place: Arc<Place>,
    issuer: String,
    process: Process,
}

impl Identity {
    /// Starts one in `place`.
    ///
    /// # Panics
    /// When Node.js or its packages are missing; the message says how to get them.
    pub async fn start(place: &Arc<Place>) -> Self {
        let (process, issuer) = spawn(place, &[]).await;
        Self { place: Arc::clone(place), issuer, process }
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Freezes it: it takes what it is asked, and says nothing.
    pub async fn freeze(&self) {
        self.process.freeze().await;
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// Starts it again at the same address, with new keys, of which the one that it signs with is called `kid`.
    ///
    /// # Panics
    /// When it was not ended, or does not start.
    pub async fn start_again(&mut self, kid: &str) {
        let (_, port) = self.issuer.rsplit_once(':').unwrap();
        let (process, issuer) = spawn(&self.place, &[port, kid]).await;
        assert_eq!(issuer, self.issuer);
        self.process = process;
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
        fs::read(self.place.path().join("signing-key.pem")).unwrap()
    }

    /// A private key that it does not have, as PEM.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn strangers_key(&self) -> Vec<u8> {
        fs::read(self.place.path().join("stranger-key.pem")).unwrap()
    }

    /// The public keys that it tells.
    ///
    /// # Panics
    /// When it does not tell them.
    pub async fn told_keys(&self) -> Vec<Value> {
        let set = Site::new(&self.issuer).get("/jwks").await.json(200);
        set["keys"].as_array().unwrap().clone()
    }

    /// The subject that a token of its own names.
    ///
    /// # Panics
    /// When it names none.
    #[must_use]
    pub fn subject(token: &str) -> String {
        let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(token).unwrap();
        claims["sub"].as_str().unwrap_or_else(|| panic!("no subject in {claims}")).to_owned()
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

async fn spawn(place: &Place, arguments: &[&str]) -> (Process, String) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("identity");
    assert!(
        program.join("node_modules").exists(),
        "the identity provider is not installed: run `npm ci` in {}",
        program.display()
    );
    let mut node = Command::new(node());
    node.arg(program.join("provider.mjs")).arg(place.path()).args(arguments);
    let mut process = Process::start(place, "identity", &mut node);
    let addr = process.listening(1).await[0];
    (process, format!("http://{addr}"))
}
