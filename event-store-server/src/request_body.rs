//! What clients send: limited in what one message may have, in how long its end is waited for, and in the memory that all
//! messages may take that are not at their end.

mod framing;
mod wait;

use crate::config::Limits;
use crate::connection::Peer;
use crate::memory::{Held, Holder, Memory, Room};
use bytes::Bytes;
use framing::Framing;
use http_body::Frame;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::{Code, Status};
use wait::Wait;

/// The largest message, in bytes: of a call that appends, and of the others beside the longest name.
pub(crate) const MESSAGE: usize = 16 << 20;
const SMALL_MESSAGE: usize = 128 << 10;

/// The calls with large messages. A session of the second one lasts as long as its client likes, and each of its messages is
/// waited for; any other call is waited for as a whole.
const APPEND: &str = "/event_store.client.streams.Streams/Append";
const BATCH_APPEND: &str = "/event_store.client.streams.Streams/BatchAppend";

/// How requests are received.
#[derive(Clone, Debug)]
pub(crate) struct Receiving {
    memory: Memory,
    max_small_message: usize,
    patience: Duration,
}

impl Receiving {
    pub(crate) fn new(limits: &Limits) -> Self {
        let Limits { max_pending_bytes, max_name_bytes, write_timeout, silence, .. } = *limits;
        let too_busy = || Status::unavailable("Server Is Too Busy");
        let memory = Memory::new(max_pending_bytes, silence, too_busy);
        let max_small_message = SMALL_MESSAGE.saturating_add(max_name_bytes).min(MESSAGE);
        Self { memory, max_small_message, patience: write_timeout }
    }

    /// The same request, with a body that keeps to the limits.
    pub(crate) fn receive(&self, request: Request<Body>) -> Request<Body> {
        let path = request.uri().path();
        let is_session = path == BATCH_APPEND;
        let max_message = if is_session || path == APPEND { MESSAGE } else { self.max_small_message };
        let share = request.extensions().get::<Peer>().map(|peer| &peer.unfinished);
        let memory = self.memory.of(share);
        let patience = self.patience;
        request.map(|body| {
            Body::new(Received {
                body,
                is_session,
                framing: Framing::new(max_message),
                wait: Wait::new(patience),
                memory,
                room: None,
                asking: None,
                holding: None,
            })
        })
    }
}

/// The body of a request, as it comes.
struct Received {
    body: Body,
    is_session: bool,
    framing: Framing,
    wait: Wait,
    memory: Memory,
    /// For the largest message that came in several parts. It is held until the call ends, as its buffer in tonic is.
    room: Option<Room>,
    /// A part that waits for room.
    asking: Option<(Asking, Bytes)>,
    holding: Option<Holding>,
}

type Asking = Pin<Box<dyn Future<Output = Result<Room, Status>> + Send>>;

/// That others can have this call end.
struct Holding {
    call: Arc<Unfinished>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    _held: Held,
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Some(holding) = &mut this.holding
            && holding.ended.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(needed_by_others())));
        }
        if this.asking.is_none() {
            let data = match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(broken_off(status)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return this.poll_late(cx).map(|()| Some(Err(unfinished(this.is_session)))),
            };
            if let Err(status) = this.come(&data) {
                return Poll::Ready(Some(Err(status)));
            }
            match this.lacks() {
                None => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(bytes) => {
                    let memory = this.memory.clone();
                    let asking = async move { memory.room_beside_own(bytes).await };
                    this.asking = Some((Box::pin(asking), data));
                }
            }
        }
        let Some((asking, _)) = &mut this.asking else { return Poll::Pending };
        let more = match ready!(asking.as_mut().poll(cx)) {
            Ok(more) => more,
            Err(status) => return Poll::Ready(Some(Err(status))),
        };
        this.hold(more);
        Poll::Ready(this.asking.take().map(|(_, data)| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.asking.is_none() && self.body.is_end_stream()
    }
}

impl Received {
    fn come(&mut self, data: &Bytes) -> Result<(), Status> {
        let began = self.framing.pass(data)?;
        if self.is_session && began {
            self.wait.begin();
        }
        self.wait.come(data.len());
        Ok(())
    }

    /// How much room is lacking for the message that is not at its end.
    fn lacks(&self) -> Option<usize> {
        let message = self.framing.unfinished()?;
        let Some(room) = &self.room else { return (message > 0).then_some(message) };
        if let Some(holding) = &self.holding
            && message >= room.bytes() / 2
        {
            holding.call.goes_on();
        }
        message.checked_sub(room.bytes()).filter(|lacking| *lacking > 0 && !room.is_whole())
    }

    fn hold(&mut self, more: Room) {
        match &mut self.room {
            Some(room) => room.add(more),
            None => self.room = Some(more),
        }
        self.holding.get_or_insert_with(|| {
            let since = Mutex::new(Instant::now());
            let call = Arc::new(Unfinished { since, ended: CancellationToken::new() });
            let ended = Box::pin(call.ended.clone().cancelled_owned());
            let _held = self.memory.held_by(call.clone());
            Holding { call, ended, _held }
        });
    }

    /// Ready when what has to come was waited for long enough.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_session && self.framing.unfinished().is_none() {
            return Poll::Pending;
        }
        self.wait.poll(cx)
    }
}

/// What a call holds for messages that are not at their end, as others see it.
#[derive(Debug)]
struct Unfinished {
    /// When the last part of a message came that needs what it holds.
    since: Mutex<Instant>,
    ended: CancellationToken,
}

impl Unfinished {
    fn goes_on(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Holder for Unfinished {
    fn since(&self) -> Option<Instant> {
        Some(*self.since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end(&self) -> bool {
        self.goes_on();
        let first = !self.ended.is_cancelled();
        self.ended.cancel();
        first
    }
}

/// A request that is broken off ends with an error. Otherwise tonic ends its messages as if it were complete, and the first
/// half of an append would be taken for all of it.
fn broken_off(status: Status) -> Status {
    match status.code() {
        Code::Cancelled => Status::aborted("The client broke the call off."),
        _ => status,
    }
}

fn unfinished(is_session: bool) -> Status {
    Status::aborted(if is_session {
        "Operation timed out: the rest of a message did not come in time."
    } else {
        "Operation timed out: the rest of the request did not come in time; nothing was changed."
    })
}

fn needed_by_others() -> Status {
    Status::unavailable(
        "The rest of the request did not come, and others need the memory of what has: the call was ended. Try again.",
    )
}
