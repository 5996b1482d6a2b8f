//! The adapter: the port over the crate `eventstore`, with every workaround that this client needs.
//!
//! One file each: what a connection string must say ([`url`]), the client that lives again after it died
//! ([`connection`]), what its errors mean ([`failure`]), appending, alone or in a session
//! ([`session`]), reading, following, and the 40 ms that a call
//! takes unless someone sets `TCP_NODELAY` ([`nodelay`]).

mod append;
mod connection;
mod convert;
mod endless;
mod failure;
mod follow;
mod nodelay;
mod pauses;
mod read;
mod session;
mod url;

use crate::{
    AppendError, Appended, Direction, EventStore, Expected, Filter, Follow, Heard, NewEvent, Position,
    ReadError, Start, StoredEvent,
};
use connection::Connection;
use follow::{FollowThread, Followed};
use futures_util::Stream;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

/// An event store behind the EventStoreDB protocol: KurrentDB, EventStoreDB, or the embedded server. Cheap to clone.
///
/// Make one for a store and keep it: the client never closes the connection of the calls while the runtime lives that
/// first used it.
#[derive(Clone)]
pub struct Kurrent {
    calls: Arc<Connection>,
    followers: Arc<FollowThread>,
    call_timeout: Duration,
}

/// How [`Kurrent`] talks to its store.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long an append, a ping, or one page of a read may take, all tries together. Default: 2 s.
    pub call_timeout: Duration,
    /// How many calls may be under way at once; more wait for their turn. Servers allow 100 requests on a connection,
    /// and going over that hangs instead of failing. Default: 80.
    pub calls_in_flight: usize,
    /// Send what is to be sent at once, instead of waiting up to 40 ms for the server's acknowledgement (ADR 0003).
    /// Only a measurement wants this off. Default: on.
    pub nodelay: bool,
    /// Called each time that an append or a read is tried again, to count it. Default: nothing.
    pub trying_again: fn(),
}

impl Default for Options {
    fn default() -> Self {
        Self { call_timeout: Duration::from_secs(2), calls_in_flight: 80, nodelay: true, trying_again: || {} }
    }
}

/// Why a [`Kurrent`] could not be made. A store that is down is no reason: it is connected to when first needed.
#[derive(Debug, thiserror::Error)]
pub enum KurrentError {
    /// The connection string is not one. The reason never repeats the string, which may hold a password.
    #[error(
        "the event store's connection string cannot be used: {0}. Write esdb://HOST:PORT?tls=false, or \
         esdb://USER:PASSWORD@HOST1:PORT,HOST2:PORT,HOST3:PORT?tlsCaFile=FILE for a cluster"
    )]
    ConnectionString(String),
    /// The system gave no thread to follow the store on.
    #[error(
        "no thread could be started to follow the event store on: {0}; check the limit of processes and threads"
    )]
    Thread(#[source] io::Error),
}

impl Kurrent {
    /// Prepares for talking to the store at `url`. It connects when first used, so the store may come later.
    ///
    /// # Errors
    /// [`KurrentError`], if the connection string is wrong or names files that cannot be read.
    pub fn connect(url: &str, options: Options) -> Result<Self, KurrentError> {
        let Options { call_timeout, calls_in_flight, nodelay, trying_again } = options;
        let settings = url::settings(url)?;
        let calls = Arc::new(Connection::new(settings.clone(), calls_in_flight, nodelay, trying_again));
        // Followers have a connection of their own, so that catching up does not stand in the way of a command.
        let listening = Arc::new(Connection::new(settings, calls_in_flight, nodelay, trying_again));
        let followers = FollowThread::start(listening).map_err(KurrentError::Thread)?;
        Ok(Self { calls, followers: Arc::new(followers), call_timeout })
    }
}

impl fmt::Debug for Kurrent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The settings hold the password.
        out.debug_struct("Kurrent").field("call_timeout", &self.call_timeout).finish_non_exhaustive()
    }
}

impl EventStore for Kurrent {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        append::append(&self.calls, self.call_timeout, stream, expected, &events).await
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: Start<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        read::read_stream(&self.calls, self.call_timeout, stream, from, direction, limit).await
    }

    async fn read_all(
        &self,
        from: Start<Position>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        read::read_all(&self.calls, self.call_timeout, from, direction, limit).await
    }

    async fn read_at(&self, position: Position) -> Result<Option<StoredEvent>, ReadError> {
        read::read_at(&self.calls, self.call_timeout, position).await
    }

    fn follow(&self, from: Follow, filter: Filter) -> impl Stream<Item = Heard> + Send + Unpin + 'static {
        Followed::start(&self.followers, from, filter)
    }

    async fn ping(&self) -> Result<(), ReadError> {
        read::ping(&self.calls, self.call_timeout).await
    }
}
