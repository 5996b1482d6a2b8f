//! The issuer's keys, kept for a while and learnt anew when a token names one that is not among them.

use super::discovery::{self, DiscoveryError};
use super::settings::Issuer;
use super::token::Key;
use reqwest::Client;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The shortest time between two questions to the issuer: tokens with invented keys must not make us flood it.
const ASK_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// For how long the last known keys are believed while the issuer does not answer.
const BELIEVED_FOR: Duration = Duration::from_secs(3_600);

/// The keys of one issuer.
pub(super) struct Keys {
    client: Client,
    issuer: Issuer,
    max_age: Duration,
    known: RwLock<Option<Known>>,
    /// When the issuer was asked last. Whoever asks it holds the lock, so that one question serves all who wait.
    asked: Mutex<Option<Instant>>,
}

/// Keys, and when they were learnt.
#[derive(Clone)]
struct Known {
    keys: Arc<Vec<Key>>,
    at: Instant,
}

impl Keys {
    pub(super) fn new(issuer: Issuer, max_age: Duration) -> reqwest::Result<Self> {
        let client = discovery::client()?;
        Ok(Self { client, issuer, max_age, known: RwLock::default(), asked: Mutex::default() })
    }

    /// The keys as they are known, learnt anew if they are too old; `None` when none can be believed.
    pub(super) async fn current(&self) -> Option<Arc<Vec<Key>>> {
        match self.known() {
            Some(known) if known.at.elapsed() < self.max_age => Some(known.keys),
            stale => {
                self.learn(stale.map(|known| known.at)).await;
                self.known().filter(|known| known.at.elapsed() < BELIEVED_FOR).map(|known| known.keys)
            }
        }
    }

    /// Other keys than `known`, if the issuer has had a change since; for a token whose key is not among them.
    pub(super) async fn other_than(&self, known: &Arc<Vec<Key>>) -> Option<Arc<Vec<Key>>> {
        let at = self.known().filter(|now| Arc::ptr_eq(&now.keys, known)).map(|now| now.at);
        self.learn(at).await;
        self.known().map(|now| now.keys).filter(|now| !Arc::ptr_eq(now, known))
    }

    /// Asks the issuer, unless its keys were learnt after `since`, or it was asked just now.
    async fn learn(&self, since: Option<Instant>) {
        let mut asked = self.asked.lock().await;
        let learnt_meanwhile = self.known().map(|known| known.at) > since;
        let asked_just_now = asked.is_some_and(|at| at.elapsed() < ASK_AT_MOST_EVERY);
        if learnt_meanwhile || asked_just_now {
            return;
        }
        match discovery::keys(&self.client, &self.issuer).await {
            Ok(keys) => {
                tracing::debug!(issuer = %self.issuer, keys = keys.len(), "the issuer's keys were learnt");
                let known = Known { keys: Arc::new(keys), at: Instant::now() };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
            }
            Err(error) => self.complain(&error),
        }
        *asked = Some(Instant::now());
    }

    fn complain(&self, error: &DiscoveryError) {
        let believed_for_secs =
            self.known().map_or(0, |known| BELIEVED_FOR.saturating_sub(known.at.elapsed()).as_secs());
        tracing::warn!(issuer = %self.issuer, %error, believed_for_secs, "the issuer's keys cannot be learnt");
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
