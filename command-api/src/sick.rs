//! What stands between the commands and a sick store: a breaker that stops asking a store which does not answer, until a probe
//! of its own is answered, and a bulkhead that bounds how much waits for one.
//!
//! It is a store itself, so `transact` knows of it only what its [`Circuit`] tells those who stand in line. No answer (too
//! late, unreachable, unknown outcome) is a failure; a conflict, a refusal, and that a stream is deleted are answers.

pub(crate) mod breaker;

use breaker::{Breaker, Call, Circuit, Position as Standing};
use bytes::Bytes;
use event_store::{
    AppendError, Appended, ContentType, Direction, EventStore, Expected, Filter, Follow, Heard, NewEvent,
    Position, ReadError, Start, StoredEvent,
};
use futures_util::Stream;
use service_kit::metrics::{Counter, Gauge};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// How long an open circuit waits before each probe.
const PAUSE: Duration = Duration::from_millis(500);

/// The stream to which the append of a probe would go, and where that expects it to be: at a revision that no stream ever
/// has, so nothing is stored.
const PROBE: &str = "bookstock-probe";
const NEVER: Expected = Expected::Revision(i64::MAX.cast_unsigned() - 1);

/// How many calls of commands are under way or wait for their turn; the adapter lets 80 go at once.
const CALLS: usize = 1_024;

static POSITION: Gauge<1> = Gauge::new(
    "event_store_circuit",
    "Where the circuit breaker before the event store stands: 1 for the position it is in, 0 for the others.",
    ["position"],
);

static CALLS_BY_OUTCOME: Counter<1> = Counter::new(
    "event_store_calls_total",
    "Calls of the command side to the event store: answered, failed, shed by the open circuit, shed because too many waited.",
    ["outcome"],
);

/// A store behind a breaker and a bulkhead. Cheap to clone; clones share both.
#[derive(Clone)]
pub(crate) struct Guarded<S> {
    store: S,
    breaker: Arc<Breaker>,
    calls: Arc<Semaphore>,
    counts: Arc<Counts>,
}

struct Counts {
    answered: metrics::Counter,
    failed: metrics::Counter,
    shed_open: metrics::Counter,
    shed_full: metrics::Counter,
}

/// Whether a call got an answer of the store, by its result.
trait Answered {
    fn is_answer(&self) -> bool;
    fn unavailable(reason: &str) -> Self;
}

impl<T> Answered for Result<T, AppendError> {
    fn is_answer(&self) -> bool {
        !matches!(self, Err(AppendError::Unavailable(_) | AppendError::OutcomeUnknown(_)))
    }

    fn unavailable(reason: &str) -> Self {
        Err(AppendError::Unavailable(reason.to_owned()))
    }
}

impl<T> Answered for Result<T, ReadError> {
    fn is_answer(&self) -> bool {
        !matches!(self, Err(ReadError::Unavailable(_)))
    }

    fn unavailable(reason: &str) -> Self {
        Err(ReadError::Unavailable(reason.to_owned()))
    }
}

impl<S: EventStore> Guarded<S> {
    /// `store`, with nothing known against it.
    pub(crate) fn new(store: S) -> Self {
        let count = |outcome: &'static str| CALLS_BY_OUTCOME.of([outcome.into()]);
        let counts = Counts {
            answered: count("answered"),
            failed: count("failed"),
            shed_open: count("shed-open"),
            shed_full: count("shed-full"),
        };
        show(Standing::Closed);
        Self {
            store,
            breaker: Arc::new(Breaker::new(moved)),
            calls: Arc::new(Semaphore::new(CALLS)),
            counts: Arc::new(counts),
        }
    }

    /// What tells those who have not called yet whether they would be turned away.
    pub(crate) fn circuit(&self) -> Circuit {
        self.breaker.circuit()
    }

    async fn call<R: Answered>(&self, kind: Call, call: impl Future<Output = R>) -> R {
        if self.breaker.position() != Standing::Closed {
            self.counts.shed_open.increment(1);
            return R::unavailable("the circuit is open: it did not answer, and is asked again in a moment");
        }
        let Ok(_permit) = self.calls.try_acquire() else {
            self.counts.shed_full.increment(1);
            return R::unavailable("too many calls wait for it");
        };
        let result = call.await;
        if result.is_answer() {
            self.counts.answered.increment(1);
            self.breaker.answered(kind);
        } else {
            self.counts.failed.increment(1);
            if self.breaker.failed(kind) {
                tokio::spawn(self.clone().probe());
            }
        }
        result
    }

    /// Asks the store for what costs it least, a read and an append of nothing, again and again until it answers both.
    async fn probe(self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            if !self.breaker.half_open() {
                return;
            }
            let (read, appended) = tokio::join!(self.store.ping(), self.append_nothing());
            if read.is_answer() && appended.is_answer() {
                return self.breaker.probed();
            }
            self.breaker.probed_in_vain();
        }
    }

    /// An append that goes all the way to where the store writes, and is turned away there.
    async fn append_nothing(&self) -> Result<Appended, AppendError> {
        let event = NewEvent {
            id: Uuid::from_u128(1),
            event_type: "Probe".to_owned(),
            content_type: ContentType::Binary,
            data: Bytes::new(),
            metadata: Bytes::new(),
        };
        self.store.append(PROBE, NEVER, vec![event]).await
    }
}

fn show(standing: Standing) {
    for position in [Standing::Closed, Standing::Open, Standing::HalfOpen] {
        POSITION.of([position.as_str().into()]).set(f64::from(u8::from(position == standing)));
    }
}

fn moved(to: Standing) {
    show(to);
    match to {
        Standing::Open => tracing::warn!("the event store does not answer; the circuit is open"),
        Standing::HalfOpen => tracing::info!("the event store is tried again; the circuit is half open"),
        Standing::Closed => tracing::info!("the event store answers; the circuit is closed"),
    }
}

impl<S: EventStore> EventStore for Guarded<S> {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        self.call(Call::Append, self.store.append(stream, expected, events)).await
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: Start<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.call(Call::Read, self.store.read_stream(stream, from, direction, limit)).await
    }

    async fn read_all(
        &self,
        from: Start<Position>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.call(Call::Read, self.store.read_all(from, direction, limit)).await
    }

    async fn read_at(&self, position: Position) -> Result<Option<StoredEvent>, ReadError> {
        self.call(Call::Read, self.store.read_at(position)).await
    }

    fn follow(&self, from: Follow, filter: Filter) -> impl Stream<Item = Heard> + Send + Unpin + 'static {
        self.store.follow(from, filter)
    }

    /// Past the breaker, and no word for it: a store that answers this may be unable to write. While the circuit is not
    /// closed no command is carried out, whatever the store answers.
    async fn ping(&self) -> Result<(), ReadError> {
        let result = self.store.ping().await;
        match (self.breaker.position(), result) {
            (Standing::Closed, result) => result,
            (open, Ok(())) => Err(ReadError::Unavailable(format!(
                "it answers this, but did not answer commands; the circuit is {}",
                open.as_str()
            ))),
            (open, Err(error)) => {
                Err(ReadError::Unavailable(format!("{error}; the circuit is {}", open.as_str())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_store::{Kurrent, Options};
    use futures_util::future::join_all;
    use tokio::net::TcpListener;

    async fn read(store: Guarded<Kurrent>) -> Result<Vec<StoredEvent>, ReadError> {
        store.read_stream("book-1", Start::End, Direction::Backwards, 1).await
    }

    #[tokio::test]
    async fn more_calls_than_there_is_room_for_are_turned_away_and_do_not_wait() {
        // It takes connections, and never says a word.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("esdb://{}?tls=false", silent.local_addr().unwrap());
        let patient = Options { call_timeout: Duration::from_secs(600), ..Options::default() };
        let store = Guarded::new(Kurrent::connect(&url, patient).unwrap());
        let waiting: Vec<_> = (0..CALLS).map(|_| tokio::spawn(read(store.clone()))).collect();
        while store.calls.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        for refused in join_all((0..100).map(|_| read(store.clone()))).await {
            assert_eq!(refused, Err(ReadError::Unavailable("too many calls wait for it".to_owned())));
        }
        // Nobody took the store for sick because of that, and whoever came before still waits.
        assert_eq!(store.breaker.position(), Standing::Closed);
        assert!(waiting.iter().all(|call| !call.is_finished()));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        join_all(waiting).await;
        assert_eq!(store.calls.available_permits(), CALLS);
    }
}
