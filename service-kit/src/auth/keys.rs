//! The issuer's keys: asked for anew before they are old, and when a token names one that is not among them.
//!
//! Nobody waits for the issuer while keys are known: a renewal goes on beside the requests, so that an issuer that hangs holds
//! up only those who have a key that nobody has heard of.

use super::discovery::{self, DiscoveryError};
use super::settings::Issuer;
use super::token::Key;
use crate::metrics::Gauge;
use reqwest::Client;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// The shortest time between two questions to the issuer: tokens with invented keys must not make us flood it.
const ASK_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// For how long the last known keys are believed while the issuer does not answer.
pub(super) const BELIEVED_FOR: Duration = Duration::from_secs(3_600);

static ISSUER_ANSWERS: Gauge<0> = Gauge::new(
    "auth_issuer_answers",
    "Whether the issuer of tokens told its keys when it was asked last (1) or not (0).",
    [],
);

/// The keys of one issuer.
pub(super) struct Keys {
    kept: Arc<Kept>,
    /// Ends with the keys that it renews.
    _renewal: AbortOnDropHandle<()>,
}

struct Kept {
    client: Client,
    issuer: Issuer,
    max_age: Duration,
    known: RwLock<Option<Known>>,
    /// Whoever asks the issuer holds the lock, so that one question serves all who wait.
    asked: Arc<Mutex<Option<Question>>>,
    answers: metrics::Gauge,
}

/// Keys, and when they were learnt.
#[derive(Clone)]
struct Known {
    keys: Arc<Vec<Key>>,
    at: Instant,
}

/// The last question to the issuer: when it was asked, and whether it failed, or the one before if it is not answered yet.
#[derive(Clone, Copy)]
struct Question {
    at: Instant,
    failed: bool,
}

impl Keys {
    /// Asks the issuer at once, and again whenever what it told is `max_age` old.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub(super) fn new(issuer: Issuer, max_age: Duration) -> reqwest::Result<Self> {
        let kept = Arc::new(Kept {
            client: discovery::client()?,
            issuer,
            max_age,
            known: RwLock::default(),
            asked: Arc::default(),
            answers: ISSUER_ANSWERS.of([]),
        });
        let renewal = tokio::spawn(Arc::clone(&kept).renew());
        Ok(Self { kept, _renewal: AbortOnDropHandle::new(renewal) })
    }

    /// The keys as they are known; the issuer is waited for, and `None` when it tells none, only if none can be believed.
    pub(super) async fn current(&self) -> Option<Arc<Vec<Key>>> {
        if let Some(keys) = self.kept.believed() {
            return Some(keys);
        }
        self.kept.learn(self.kept.known().map(|known| known.at)).await;
        self.kept.believed()
    }

    /// Other keys than `known`, if the issuer has had a change since; for a token whose key is not among them.
    pub(super) async fn other_than(&self, known: &Arc<Vec<Key>>) -> Option<Arc<Vec<Key>>> {
        let at = self.kept.known().filter(|now| Arc::ptr_eq(&now.keys, known)).map(|now| now.at);
        self.kept.learn(at).await;
        self.kept.known().map(|now| now.keys).filter(|now| !Arc::ptr_eq(now, known))
    }
}

impl Kept {
    async fn renew(self: Arc<Self>) {
        loop {
            let known = self.known();
            let age = known.as_ref().map_or(self.max_age, |known| known.at.elapsed());
            let left = self.max_age.saturating_sub(age);
            if left.is_zero() {
                self.learn(known.map(|known| known.at)).await;
            }
            tokio::time::sleep(left.max(ASK_AT_MOST_EVERY)).await;
        }
    }

    /// Asks the issuer, unless its keys were learnt after `since`, or it was asked just now. A question goes on, and counts, when
    /// whoever had it asked is gone: so nobody asks more often by hanging up.
    async fn learn(self: &Arc<Self>, since: Option<Instant>) {
        let mut asked = Arc::clone(&self.asked).lock_owned().await;
        let learnt_meanwhile = self.known().map(|known| known.at) > since;
        let asked_just_now = asked.is_some_and(|last| last.at.elapsed() < ASK_AT_MOST_EVERY);
        if learnt_meanwhile || asked_just_now {
            return;
        }
        let kept = Arc::clone(self);
        let question = tokio::spawn(async move {
            let failed_before = asked.is_some_and(|last| last.failed);
            let at = Instant::now();
            *asked = Some(Question { at, failed: failed_before });
            let failed = kept.ask(failed_before).await.is_err();
            *asked = Some(Question { at, failed });
        });
        if let Err(error) = question.await {
            tracing::error!(%error, "the question to the issuer broke off");
        }
    }

    /// The log is told once that the issuer does not answer, and once that it does again.
    async fn ask(&self, failed_before: bool) -> Result<(), DiscoveryError> {
        let told = discovery::keys(&self.client, &self.issuer).await;
        self.answers.set(if told.is_ok() { 1.0 } else { 0.0 });
        let issuer = &self.issuer;
        match told {
            Ok(keys) => {
                if failed_before {
                    tracing::info!(%issuer, "the issuer tells its keys again");
                }
                tracing::debug!(%issuer, keys = keys.len(), "the issuer's keys were learnt");
                let known = Known { keys: Arc::new(keys), at: Instant::now() };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
                Ok(())
            }
            Err(error) => {
                let age = self.known().map_or(BELIEVED_FOR, |known| known.at.elapsed());
                let believed_for_secs = BELIEVED_FOR.saturating_sub(age).as_secs();
                if !failed_before {
                    tracing::warn!(%issuer, %error, believed_for_secs, "the issuer's keys cannot be learnt");
                }
                Err(error)
            }
        }
    }

    /// The known keys, unless they are too old.
    fn believed(&self) -> Option<Arc<Vec<Key>>> {
        self.known().filter(|known| known.at.elapsed() < BELIEVED_FOR).map(|known| known.keys)
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
