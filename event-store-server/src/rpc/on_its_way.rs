//! What has left a call for its client: it takes memory until its connection has sent it, and is counted so long. HTTP/2
//! keeps much of it for a client that lets much come and then does not read.

use crate::memory::{Held, Room};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Response;

/// A call whose answers are counted until they are sent.
pub(super) trait Leaving: Send + Sync {
    /// Gives the memory of so many bytes that leave, if they have any.
    fn leave(&self, bytes: usize) -> Option<Room>;

    /// What left with memory was sent.
    fn sent(&self);
}

/// The way that the answers of a call leave by. It goes with the response to where that becomes bytes.
#[derive(Clone)]
pub(super) struct Way {
    call: Arc<dyn Leaving>,
    /// As long as something is on its way, others may ask for its memory.
    _held: Arc<Held>,
}

impl Way {
    pub(super) fn new(call: Arc<dyn Leaving>, held: Arc<Held>) -> Self {
        Self { call, _held: held }
    }

    fn leave(&self, data: Bytes) -> Bytes {
        match self.call.leave(data.len()) {
            Some(room) => Bytes::from_owner(OnItsWay { data, way: self.clone(), _room: room }),
            None => data,
        }
    }
}

/// Has what leaves counted until it is sent, where the response is of a call that counts it.
pub(crate) fn counted(mut response: Response<Body>) -> Response<Body> {
    match response.extensions_mut().remove::<Way>() {
        Some(way) => response.map(|body| Body::new(Counted { body, way })),
        None => response,
    }
}

/// The body of such a response.
struct Counted {
    body: Body,
    way: Way,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else { return Poll::Ready(None) };
        Poll::Ready(Some(Ok(frame.map_data(|data| self.way.leave(data)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes on their way, dropped by the connection when it has sent them.
struct OnItsWay {
    data: Bytes,
    way: Way,
    _room: Room,
}

impl AsRef<[u8]> for OnItsWay {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.way.call.sent();
    }
}
