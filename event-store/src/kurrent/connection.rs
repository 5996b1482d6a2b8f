//! The client of the moment, and a new one when it is dead.
//!
//! A client whose first connect fails is dead for ever, and one whose node goes away never looks for another node. So
//! the client is thrown away and made anew: at once when it says so itself, and when it has reached nothing for some
//! seconds.

use super::failure::Failure;
use super::nodelay::Nodelay;
use super::pauses::Pauses;
use super::session::Session;
use eventstore::{Client, ClientSettings};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// A client that has reached nothing for so long is replaced: another node of the cluster may have taken over.
const REPLACE_AFTER: Duration = Duration::from_secs(3);

/// Clients are made at this distance, at first and at most. Making one takes a millisecond of CPU.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A call that took longer may have waited for an acknowledgement on a new connection that lacks `TCP_NODELAY`.
const SLOW: Duration = Duration::from_millis(30);

/// The way to the store, over clients that come and go.
pub(super) struct Connection {
    settings: ClientSettings,
    turns: Semaphore,
    nodelay: Option<Nodelay>,
    state: Mutex<State>,
    /// True after a failure until the next success, so that a success need not lock to know that nothing has changed.
    failing: AtomicBool,
    pub(super) trying_again: fn(),
}

struct State {
    link: Option<Arc<Link>>,
    failing_since: Option<Instant>,
    /// Why the client before was thrown away, and when the next one may be made.
    wait: Option<(String, Instant)>,
    pauses: Pauses,
}

/// One client, and whether it has ever reached the store.
pub(super) struct Link {
    client: Client,
    connected: AtomicBool,
    session: Session,
}

impl Link {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }
}

impl Connection {
    pub(super) fn new(
        settings: ClientSettings,
        calls_in_flight: usize,
        nodelay: bool,
        trying_again: fn(),
    ) -> Self {
        let ports = settings.hosts().iter().filter_map(|host| u16::try_from(host.port).ok());
        Self {
            turns: Semaphore::new(calls_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            nodelay: nodelay.then(|| Nodelay::new(ports)),
            state: Mutex::new(State {
                link: None,
                failing_since: None,
                wait: None,
                pauses: Pauses::new(FIRST_PAUSE, LONGEST_PAUSE),
            }),
            failing: AtomicBool::new(false),
            trying_again,
            settings,
        }
    }

    /// One try of a call, which ends by `deadline`, because the client would let it go on for longer.
    pub(super) async fn call<A, F>(
        &self,
        deadline: Instant,
        call: impl FnOnce(Arc<Link>) -> F,
    ) -> Result<A, Failure>
    where
        F: Future<Output = eventstore::Result<A>>,
    {
        let _turn = self.turn(deadline).await?;
        let link = self.connected(deadline).await?;
        let begun = Instant::now();
        let outcome = match timeout_at(deadline, call(Arc::clone(&link))).await {
            Ok(outcome) => outcome.map_err(Failure::from),
            Err(_) => Err(Failure::Open("no answer came in time".to_owned())),
        };
        if begun.elapsed() > SLOW {
            self.set_nodelay();
        }
        self.note(&link, outcome.as_ref().err());
        outcome
    }

    /// A place among the calls that may be under way at once.
    pub(super) async fn turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        match timeout_at(deadline, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => {
                Err(Failure::Unreached("too many calls are under way, and none ended in time".to_owned()))
            }
        }
    }

    /// The client of the moment, once it has reached the store. Whatever fails before that was surely not sent.
    pub(super) async fn connected(&self, deadline: Instant) -> Result<Arc<Link>, Failure> {
        let link = self.link()?;
        if link.connected.load(Ordering::Acquire) {
            return Ok(link);
        }
        // Once for each client: boxed, it takes no room in each call.
        let failure = match timeout_at(deadline, Box::pin(link.client.server_info())).await {
            Ok(Ok(_)) => {
                link.connected.store(true, Ordering::Release);
                self.set_nodelay();
                return Ok(link);
            }
            Ok(Err(error)) => match Failure::from(error) {
                Failure::Open(reason) => Failure::Unreached(reason),
                failure => failure,
            },
            Err(_) => Failure::Unreached("no connection was made in time".to_owned()),
        };
        self.note(&link, Some(&failure));
        Err(failure)
    }

    /// Learns from what came of a call with `link`.
    pub(super) fn note(&self, link: &Arc<Link>, failure: Option<&Failure>) {
        if matches!(failure, Some(Failure::DeadClient(_) | Failure::Unreached(_) | Failure::Open(_))) {
            link.session.end();
        }
        match failure {
            Some(Failure::DeadClient(reason)) => self.replace(&mut self.state(), link, reason),
            Some(Failure::Unreached(reason) | Failure::Open(reason)) => {
                let mut state = self.state();
                let since = *state.failing_since.get_or_insert_with(Instant::now);
                self.failing.store(true, Ordering::Relaxed);
                if since.elapsed() > REPLACE_AFTER {
                    self.replace(&mut state, link, reason);
                }
            }
            Some(Failure::Redirected { port }) => {
                if let Some(nodelay) = &self.nodelay {
                    nodelay.add_port(*port);
                }
            }
            None
            | Some(
                Failure::Conflict { .. }
                | Failure::Refused(_)
                | Failure::Invalid(_)
                | Failure::NotFound
                | Failure::Deleted
                | Failure::Damaged(_),
            ) => {
                if self.failing.load(Ordering::Relaxed) {
                    let mut state = self.state();
                    state.failing_since = None;
                    state.pauses.reset();
                    self.failing.store(false, Ordering::Relaxed);
                }
            }
        }
    }

    fn link(&self) -> Result<Arc<Link>, Failure> {
        let mut state = self.state();
        if let Some(link) = &state.link {
            return Ok(Arc::clone(link));
        }
        if let Some((reason, until)) = &state.wait
            && Instant::now() < *until
        {
            return Err(Failure::Unreached(reason.clone()));
        }
        let client = Client::new(self.settings.clone()).map_err(Failure::from)?;
        let link = Arc::new(Link { client, connected: AtomicBool::new(false), session: Session::new() });
        state.link = Some(Arc::clone(&link));
        Ok(link)
    }

    fn replace(&self, state: &mut State, dead: &Arc<Link>, reason: &str) {
        // Many calls may report the death of one client, and some of them late.
        if state.link.as_ref().is_some_and(|link| Arc::ptr_eq(link, dead)) {
            state.link = None;
            state.wait = Some((reason.to_owned(), Instant::now() + state.pauses.take()));
            state.failing_since = None;
            self.failing.store(true, Ordering::Relaxed);
            tracing::debug!(reason, "the event store's client is replaced");
        }
    }

    fn set_nodelay(&self) {
        if let Some(nodelay) = &self.nodelay {
            nodelay.set();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
