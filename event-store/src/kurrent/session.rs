//! Many appends in one call of the store, for as long as none of them fails (ADR 0019).

use super::convert;
use crate::{Appended, Expected, Position};
use eventstore::{BatchAppendClient, BatchAppendOptions, Client, Error, EventData};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long after the end of a session the next one begins at the earliest. Where conflicts are frequent, nearly all
/// appends go out in calls of their own.
const CALM: Duration = Duration::from_secs(1);

/// The codes of a gRPC status with which the store answers an append that it has not stored: it makes no sense, its
/// stream is deleted or has changed, or the user may not write it.
const NOT_STORED: [i32; 4] = [3, 5, 6, 7];

/// The session of a client. It begins after an append that went well in a call of its own: a client that reaches nothing
/// does not say whether it has sent what it was given in a session.
pub(super) struct Session {
    state: Mutex<State>,
    /// How many appends have begun, and how many are under way.
    begun: AtomicUsize,
    under_way: AtomicUsize,
}

enum State {
    /// The cell is empty until somebody appends.
    Open(Arc<OnceCell<BatchAppendClient>>),
    /// There may be another one from this moment on.
    None(Instant),
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::None(Instant::now())),
            begun: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        }
    }

    /// Appends in the session. None if that stored nothing: there is no session now, or the store refused the append,
    /// and says why to a call of its own.
    pub(super) async fn append(
        &self,
        client: &Client,
        stream: &str,
        expected: Expected,
        events: Vec<EventData>,
    ) -> eventstore::Result<Option<Appended>> {
        let Some(cell) = self.current() else { return Ok(None) };
        let mut part = Part::begin(self, &cell);
        let options = BatchAppendOptions::default();
        let begun = cell.get_or_try_init(|| client.batch_append(&options)).await;
        let Ok(begun) = begun else { return Ok(None) };
        match begun.append_to_stream(stream, convert::expected_revision(expected), events).await {
            Ok(written) => {
                let (revision, position) = (written.current_revision(), written.current_position());
                let (revision, position) = revision.zip(position).ok_or_else(|| {
                    Error::InternalParsingError("the store did not say where the events are".to_owned())
                })?;
                part.went_well = true;
                Ok(Some(Appended { revision, position: Position(position.commit) }))
            }
            Err(error) if is_not_stored(&error) || (is_closed(&error) && part.is_alone()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An append went well in a call of its own.
    pub(super) fn may_begin(&self) {
        let mut state = self.state();
        if matches!(*state, State::None(next) if next <= Instant::now()) {
            *state = State::Open(Arc::default());
        }
    }

    /// It is over, since a call has failed that had nothing to do with it.
    pub(super) fn end(&self) {
        let mut state = self.state();
        if matches!(*state, State::Open(_)) {
            *state = State::None(Instant::now() + CALM);
        }
    }

    fn current(&self) -> Option<Arc<OnceCell<BatchAppendClient>>> {
        match &*self.state() {
            State::Open(cell) => Some(Arc::clone(cell)),
            State::None(_) => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One append's part in a session. If it fails, or nobody waits for it any longer, the session is over: the client
/// answers nothing in a session that the store has ended in good order.
struct Part<'a> {
    session: &'a Session,
    cell: &'a Arc<OnceCell<BatchAppendClient>>,
    number: usize,
    began_alone: bool,
    went_well: bool,
}

impl<'a> Part<'a> {
    fn begin(session: &'a Session, cell: &'a Arc<OnceCell<BatchAppendClient>>) -> Self {
        let began_alone = session.under_way.fetch_add(1, Ordering::SeqCst) == 0;
        let number = session.begun.fetch_add(1, Ordering::SeqCst) + 1;
        Self { session, cell, number, began_alone, went_well: false }
    }

    /// Whether no other append was under way at any time since it began.
    fn is_alone(&self) -> bool {
        self.began_alone && self.session.begun.load(Ordering::SeqCst) == self.number
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.session.under_way.fetch_sub(1, Ordering::SeqCst);
        // Another one may have begun meanwhile.
        if !self.went_well && self.session.current().is_some_and(|cell| Arc::ptr_eq(&cell, self.cell)) {
            self.session.end();
        }
    }
}

/// Whether the client has ended the session without a word on this append. What was sent then can only have been in the
/// company of an append that the store refused: one that was alone was not sent.
fn is_closed(error: &Error) -> bool {
    matches!(error, Error::ServerError(status) if status.contains("Batch-append stream has been closed"))
}

fn is_not_stored(error: &Error) -> bool {
    match error {
        Error::Grpc { code, .. } => NOT_STORED.contains(&i32::from(*code)),
        Error::AccessDenied | Error::ResourceDeleted => true,
        _ => false,
    }
}
