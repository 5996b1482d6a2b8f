//! Many appends in one call of the store, for as long as none of them fails (ADR 0019).

use super::convert;
use crate::{Appended, Expected, Position};
use bytes::Bytes;
use eventstore::{
    BatchAppendClient, BatchAppendOptions, BatchWriteResult, Client, Error, EventData, ExpectedRevision,
};
use futures_util::FutureExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

/// How long after the end of a session the next one begins at the earliest. Where conflicts are frequent, nearly all
/// appends go out in calls of their own.
const CALM: Duration = Duration::from_secs(1);

/// The codes of a gRPC status with which the store answers an append that it has not stored: it makes no sense, its
/// stream is deleted or has changed, or the user may not write it.
const NOT_STORED: [i32; 4] = [3, 5, 6, 7];

/// The stream to which the last append of a session would go, and the revision that it expects there: one that no stream
/// ever has, so nothing is stored.
const FAREWELL: &str = "bookstock-farewell";
const NEVER: u64 = i64::MAX.cast_unsigned() - 1;

/// The session of a client. It begins after an append that went well in a call of its own: a client that reaches nothing
/// does not say whether it has sent what it was given in a session.
pub(super) struct Session(Mutex<State>);

struct State {
    /// The session of the moment, if there is one.
    call: Option<Arc<Call>>,
    /// There may be another one from this moment on.
    next: Instant,
    /// How many appends have begun, and how many are under way, in this session and in those before it.
    begun: u64,
    under_way: usize,
}

/// The store's call, empty until somebody appends. It belongs to its session and to the appends that are under way in it.
#[derive(Default)]
struct Call(OnceCell<BatchAppendClient>);

impl Session {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { call: None, next: Instant::now(), begun: 0, under_way: 0 }))
    }

    /// Appends in the session. None if that stored nothing: there is no session now, or the store refused the append,
    /// and says why to a call of its own. That call needs time, too, so this takes half of what is left at most.
    pub(super) async fn append(
        &self,
        client: &Client,
        deadline: Instant,
        stream: &str,
        expected: Expected,
        events: Vec<EventData>,
    ) -> eventstore::Result<Option<Appended>> {
        let Some(mut part) = self.take_part() else { return Ok(None) };
        let halfway = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        let Ok(Ok(call)) = timeout_at(halfway, part.call.begun(client)).await else { return Ok(None) };
        let written = call.append_to_stream(stream, convert::expected_revision(expected), events);
        match timeout_at(halfway, written).await {
            Ok(Ok(written)) => {
                part.went_well = true;
                place(&written).map(Some)
            }
            Ok(Err(error)) if is_not_stored(&error) || (is_closed(&error) && part.is_alone()) => Ok(None),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::DeadlineExceeded),
        }
    }

    /// An append went well in a call of its own.
    pub(super) fn may_begin(&self) {
        let mut state = self.state();
        if state.call.is_none() && state.next <= Instant::now() {
            state.call = Some(Arc::default());
        }
    }

    /// It is over, since a call has failed that had nothing to do with it.
    pub(super) fn end(&self) {
        let ended = self.state().end();
        // It may send its farewell, which nobody has to wait for.
        drop(ended);
    }

    fn take_part(&self) -> Option<Part<'_>> {
        let mut state = self.state();
        let call = state.call.clone()?;
        let began_alone = state.under_way == 0;
        state.under_way += 1;
        state.begun += 1;
        Some(Part { session: self, call, number: state.begun, began_alone, went_well: false })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self) -> Option<Arc<Call>> {
        let ended = self.call.take();
        if ended.is_some() {
            self.next = Instant::now() + CALM;
        }
        ended
    }
}

impl Call {
    async fn begun(&self, client: &Client) -> eventstore::Result<&BatchAppendClient> {
        let options = BatchAppendOptions::default();
        self.0.get_or_try_init(|| client.batch_append(&options)).await
    }
}

impl Drop for Call {
    /// The client would keep the call open, here and in the store, until an append fails in it. So this one does.
    fn drop(&mut self) {
        if let Some(call) = self.0.get() {
            let event = EventData::binary("Farewell", Bytes::new());
            let farewell = call.append_to_stream(FAREWELL, ExpectedRevision::Exact(NEVER), vec![event]);
            // It is on its way once it was asked for; the answer matters to the client alone.
            let _ = farewell.now_or_never();
        }
    }
}

/// One append's part in a session. If it fails, or nobody waits for it any longer, the session is over: the client
/// answers nothing in a session that the store has ended in good order.
struct Part<'a> {
    session: &'a Session,
    call: Arc<Call>,
    number: u64,
    began_alone: bool,
    went_well: bool,
}

impl Part<'_> {
    /// Whether no other append was under way at any time since it began.
    fn is_alone(&self) -> bool {
        self.began_alone && self.session.state().begun == self.number
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state();
        state.under_way -= 1;
        // Another one may have begun meanwhile.
        let is_current = state.call.as_ref().is_some_and(|call| Arc::ptr_eq(call, &self.call));
        let ended = if is_current && !self.went_well { state.end() } else { None };
        drop(state);
        drop(ended);
    }
}

fn place(written: &BatchWriteResult) -> eventstore::Result<Appended> {
    let (revision, position) =
        written.current_revision().zip(written.current_position()).ok_or_else(|| {
            Error::InternalParsingError("the store did not say where the events are".to_owned())
        })?;
    Ok(Appended { revision, position: Position(position.commit) })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Session {
        let session = Session::new();
        session.may_begin();
        session
    }

    #[tokio::test]
    async fn an_append_is_alone_while_no_other_is_under_way() {
        let session = begun();
        let mut first = session.take_part().unwrap();
        assert!(first.is_alone());
        first.went_well = true;
        drop(first);
        assert!(session.take_part().unwrap().is_alone(), "the first one is over");
    }

    #[tokio::test]
    async fn an_append_that_had_company_is_not_alone_when_that_has_left() {
        let session = begun();
        let first = session.take_part().unwrap();
        let mut second = session.take_part().unwrap();
        assert!(!first.is_alone() && !second.is_alone());
        second.went_well = true;
        drop(second);
        assert!(!first.is_alone());
    }

    #[tokio::test]
    async fn who_is_left_of_an_ended_session_is_company_to_the_next() {
        let session = begun();
        let left = session.take_part().unwrap();
        session.end();
        session.state().next = Instant::now();
        session.may_begin();
        let next = session.take_part().unwrap();
        assert!(!Arc::ptr_eq(&left.call, &next.call));
        assert!(!next.is_alone() && !left.is_alone());
    }

    #[tokio::test]
    async fn one_that_fails_ends_its_own_session_and_no_later_one() {
        let session = begun();
        let (first, second) = (session.take_part().unwrap(), session.take_part().unwrap());
        drop(first);
        assert!(session.take_part().is_none());
        session.may_begin();
        assert!(session.take_part().is_none(), "the next one begins later");
        session.state().next = Instant::now();
        session.may_begin();
        drop(second);
        assert!(session.take_part().is_some());
    }

    #[tokio::test]
    async fn two_that_begin_at_once_are_never_alone() {
        let session = begun();
        for _ in 0..1_000 {
            let both = std::sync::Barrier::new(2);
            let alone = || {
                let mut part = session.take_part().unwrap();
                part.went_well = true;
                both.wait();
                let alone = part.is_alone();
                both.wait();
                alone
            };
            let (one, other) = std::thread::scope(|threads| {
                let one = threads.spawn(alone);
                (alone(), one.join().unwrap())
            });
            assert!(!one && !other);
        }
    }
}
