//! An issuer: it describes itself and tells its keys, both as it is told to.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A pair of keys with a name.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) private: EncodingKey,
}

impl Pair {
    pub(crate) fn ec(kid: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let private = EncodingKey::from_ec_der(key.to_pkcs8v1().unwrap().as_ref());
        Self { kid: kid.to_owned(), algorithm: Algorithm::ES256, private }
    }

    pub(crate) fn ed(kid: &str) -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let private = EncodingKey::from_ed_der(key.to_pkcs8v1().unwrap().as_ref());
        Self { kid: kid.to_owned(), algorithm: Algorithm::EdDSA, private }
    }

    pub(crate) fn rsa(kid: &str) -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = key.as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        let private = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        Self { kid: kid.to_owned(), algorithm: Algorithm::RS256, private }
    }

    /// The public half, as an issuer tells it.
    pub(crate) fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).unwrap()
    }
}

/// A running issuer.
pub(crate) struct Issuer {
    pub(crate) url: String,
    told: Shared,
}

struct Told {
    manner: Manner,
    description: Value,
    keys: Value,
    asked: u32,
    questions: u32,
    waiting: u32,
}

/// How it answers.
#[derive(Clone, Copy)]
enum Manner {
    Tells,
    Fails,
    /// It takes what it is asked, and says nothing.
    Hangs,
}

impl Issuer {
    pub(crate) async fn with(keys: &[&Pair]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let description = json!({"issuer": url, "jwks_uri": format!("{url}/jwks")});
        let keys_of_nobody = json!({"keys": []});
        let told = Told {
            manner: Manner::Tells,
            description,
            keys: keys_of_nobody,
            asked: 0,
            questions: 0,
            waiting: 0,
        };
        let told = Arc::new(Mutex::new(told));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/jwks", get(tell_keys))
            .with_state(Arc::clone(&told));
        tokio::spawn(axum::serve(listener, routes).into_future());
        let issuer = Self { url, told };
        issuer.tells(keys);
        issuer
    }

    /// From now on these are its keys.
    pub(crate) fn tells(&self, keys: &[&Pair]) {
        let keys: Vec<Value> = keys.iter().map(|pair| pair.public()).collect();
        self.tells_set(json!({"keys": keys}));
    }

    /// From now on this is its key set, whatever it is.
    pub(crate) fn tells_set(&self, set: Value) {
        self.told.lock().unwrap().keys = set;
    }

    /// From now on it describes itself so.
    pub(crate) fn describes_itself_as(&self, description: Value) {
        self.told.lock().unwrap().description = description;
    }

    pub(crate) fn is_up(&self, up: bool) {
        self.told.lock().unwrap().manner = if up { Manner::Tells } else { Manner::Fails };
    }

    /// From now on it takes what it is asked, and says nothing.
    pub(crate) fn hangs(&self) {
        self.told.lock().unwrap().manner = Manner::Hangs;
    }

    /// How often it was asked anything at all, and how many wait for its answer just now.
    pub(crate) fn questions(&self) -> (u32, u32) {
        let told = self.told.lock().unwrap();
        (told.questions, told.waiting)
    }

    /// How often it was asked for its keys.
    pub(crate) fn asked(&self) -> u32 {
        self.told.lock().unwrap().asked
    }
}

type Shared = Arc<Mutex<Told>>;

/// Counts who waits for an answer.
struct Waits(Shared);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.lock().unwrap().waiting -= 1;
    }
}

async fn describe(State(told): State<Shared>) -> Response {
    answer(told, |told| told.description.clone()).await
}

async fn tell_keys(State(told): State<Shared>) -> Response {
    told.lock().unwrap().asked += 1;
    answer(told, |told| told.keys.clone()).await
}

async fn answer(told: Shared, what: fn(&Told) -> Value) -> Response {
    let (manner, document) = {
        let mut told = told.lock().unwrap();
        told.questions += 1;
        told.waiting += 1;
        (told.manner, what(&told))
    };
    let _waits = Waits(told);
    match manner {
        Manner::Tells => Json(document).into_response(),
        Manner::Fails => StatusCode::BAD_GATEWAY.into_response(),
        Manner::Hangs => std::future::pending().await,
    }
}
