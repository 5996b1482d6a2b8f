//! What changes, as it changes: `GET /books/changes` and `GET /admins/changes`, as server-sent events.
//!
//! A message brings every book that changed since the one before, as it is now; its id is the position it brings a
//! client to. So a client that comes back with the last id it saw misses nothing, however long it was away, and one
//! that reads slowly gets fewer messages and never an old one. The first message comes at once and says where the
//! client is. Nothing is kept for any client but its position.

mod live;
mod message;

use super::inquiry::Inquiry;
use super::shown::Shown;
use super::state::Shared;
use crate::{headers, problem};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use futures_util::{Stream, stream};
pub(super) use live::Live;
use message::Message;
use service_kit::listen::Stopping;
use service_kit::{Problem, text};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often a client hears something, also when nothing changes.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a client may take to read a message. It is told where to go on, and left alone.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// `GET` of the changes of a view.
pub(super) async fn changes<V: Shown>(
    State(shared): State<Shared>,
    Extension(Stopping(stopping)): Extension<Stopping>,
    headers: HeaderMap,
    inquiry: Inquiry,
) -> Result<Response, Problem> {
    let beginning = begin::<V>(Arc::clone(&shared), stopping, &headers, inquiry).await;
    beginning.map_err(|problem| shared.placed(problem))
}

async fn begin<V: Shown>(
    shared: Shared,
    stopping: CancellationToken,
    headers: &HeaderMap,
    mut inquiry: Inquiry,
) -> Result<Response, Problem> {
    let since = inquiry.parameters.number("since")?;
    inquiry.parameters.refuse_others()?;
    let last = match headers.get("last-event-id") {
        None => None,
        Some(value) => Some(position(value).ok_or_else(|| {
            let reason = text!(
                en: "it is not the id of a message, which is a position",
                ko: "메시지의 id, 곧 위치가 아닙니다"
            );
            problem::invalid_parameter("Last-Event-ID", &reason)
        })?),
    };
    let now = shared.reader.standing().ok_or_else(problem::not_read_yet)?;
    let seen = shared.live.first().await;
    let follower = Follower {
        shared,
        stopping,
        at: last.or(since).unwrap_or(now.position),
        seen,
        begun: false,
        handed_over: None,
        ended: false,
    };
    let mut response = Response::new(Body::from_stream(messages::<V>(follower)));
    let headers = response.headers_mut();
    headers::place(headers, &now);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy that gathers answers would hold messages back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn messages<V: Shown>(follower: Follower) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream::unfold(follower, |mut follower| async move {
        let bytes = follower.next::<V>().await?;
        Some((Ok(bytes), follower))
    })
}

fn position(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A client, and how far it is.
struct Follower {
    shared: Shared,
    /// A stop does not wait for it.
    stopping: CancellationToken,
    at: u64,
    /// The state that it was last told of.
    seen: read_model::State,
    begun: bool,
    /// When it was given the last message.
    handed_over: Option<Instant>,
    ended: bool,
}

impl Follower {
    /// What it is sent next; nothing when that was the last.
    async fn next<V: Shown>(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        // It is asked for the next message when the one before has gone out.
        if self.handed_over.is_some_and(|at| at.elapsed() > READ_WITHIN) {
            self.ended = true;
            return Some(message::dropped(self.at));
        }
        let next = self.message::<V>().await;
        self.handed_over = Some(Instant::now());
        next
    }

    async fn message<V: Shown>(&mut self) -> Option<Bytes> {
        let mut beats = self.shared.live.beats();
        let heartbeat = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(heartbeat);
        loop {
            let beat = *beats.borrow_and_update();
            let read_model::State { generation, refolds, position } = beat.state;
            let anew = (generation, refolds) != (self.seen.generation, self.seen.refolds);
            if self.begun && anew {
                self.seen = beat.state;
                // All rows, or those of one book, were made anew; the position may be the same, and the rows others.
                self.at = position;
                return Some(message::reset(beat.state));
            }
            if !self.begun || position > self.at {
                // Reading takes a thousand times less time than waiting, and ten times as much memory: that is only lent.
                match Box::pin(self.shared.live.since::<V>(&self.shared.reader, self.at, beat)).await {
                    Ok(message) => return Some(self.take(&message)),
                    // It is not in memory, and the database is out or lags behind. It will come later.
                    Err(error) => tracing::debug!(%error, "changes were not read"),
                }
            }
            tokio::select! {
                changed = beats.changed() => changed.ok()?,
                () = self.stopping.cancelled() => return None,
                () = &mut heartbeat => return Some(message::heartbeat()),
            }
        }
    }

    fn take(&mut self, message: &Message) -> Bytes {
        self.begun = true;
        // Also back, for one that comes from further on: it has been told so, and is told again what it may know.
        self.at = message.position;
        message.bytes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::book_stock::Books;
    use super::super::state::Common;
    use super::*;
    use futures_util::StreamExt as _;
    use read_model::{Reader, ReaderOptions};

    /// A client of read models that nobody reaches.
    fn follower(begun: bool) -> Follower {
        let reader = Reader::new("postgres://nobody@127.0.0.1:1/nothing", ReaderOptions::default()).unwrap();
        let stopping = CancellationToken::new();
        Follower {
            shared: Arc::new(Common::new(reader, stopping.clone())),
            stopping,
            at: 0,
            seen: read_model::State::default(),
            begun,
            handed_over: None,
            ended: false,
        }
    }

    #[tokio::test]
    async fn a_client_that_waits_for_changes_takes_little_memory() {
        let bytes = size_of_val(&messages::<Books>(follower(false)));
        assert!(bytes <= 1_024, "{bytes} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn while_nothing_changes_a_client_hears_a_heartbeat_again_and_again() {
        let mut messages = std::pin::pin!(messages::<Books>(follower(true)));
        for _ in 0..3 {
            let silent_since = Instant::now();
            assert_eq!(messages.next().await.unwrap().unwrap(), ": heartbeat\n\n");
            assert!(silent_since.elapsed() >= HEARTBEAT, "{:?}", silent_since.elapsed());
            assert!(silent_since.elapsed() < 2 * HEARTBEAT, "{:?}", silent_since.elapsed());
        }
    }
}
