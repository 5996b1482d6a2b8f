//! Following: a subscription that is made anew after the last event heard, whatever ends it, on a thread of its own.

use super::connection::Connection;
use super::convert;
use super::endless::{LoopBreaker, Unwound};
use super::failure::Failure;
use super::pauses::Pauses;
use crate::{Filter, Follow, Heard, Position};
use eventstore::{
    StreamPosition, SubscribeToAllOptions, Subscription, SubscriptionEvent, SubscriptionFilter,
};
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, thread, vec};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Events go from the thread to the follower in batches: what is there, up to so many events or bytes. With the
/// batches that may wait, this bounds what a slow follower keeps in memory.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
const BATCHES_WAITING: usize = 4;

/// The events that a server looks at before it tells how far it is; with few, it tells too often.
const FILTER_WINDOW: u32 = 1000;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a connection may take before following counts as interrupted.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The thread on which all followers of one adapter listen: what goes wrong in the client's subscriptions cannot hold
/// up anyone else, and decoding history does not take the caller's turns. It ends with the last owner.
pub(super) struct FollowThread {
    connection: Arc<Connection>,
    runtime: Handle,
    _ends_thread: DropGuard,
}

impl FollowThread {
    pub(super) fn start(connection: Arc<Connection>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let ended = CancellationToken::new();
        let ends_thread = ended.clone().drop_guard();
        thread::Builder::new()
            .name("event-store-follow".to_owned())
            .spawn(move || runtime.block_on(ended.cancelled()))?;
        Ok(Self { connection, runtime: handle, _ends_thread: ends_thread })
    }
}

/// What a follower hears, as a stream.
pub(super) struct Followed {
    batches: mpsc::Receiver<Vec<Heard>>,
    batch: vec::IntoIter<Heard>,
    _thread: Arc<FollowThread>,
}

impl Followed {
    pub(super) fn start(thread: &Arc<FollowThread>, from: Follow, filter: Filter) -> Self {
        let (tell, batches) = mpsc::channel(BATCHES_WAITING);
        let listener = Listener {
            connection: Arc::clone(&thread.connection),
            last: match from {
                Follow::FromBeginning => None,
                Follow::After(position) => Some(position),
            },
            filter: stream_filter(filter),
            progressed: true,
            tell,
        };
        thread.runtime.spawn(listener.listen_for_ever());
        Self { batches, batch: Vec::new().into_iter(), _thread: Arc::clone(thread) }
    }
}

impl Stream for Followed {
    type Item = Heard;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Heard>> {
        loop {
            if let Some(heard) = self.batch.next() {
                return Poll::Ready(Some(heard));
            }
            match ready!(self.batches.poll_recv(cx)) {
                Some(batch) => self.batch = batch.into_iter(),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// One follower's ear.
struct Listener {
    connection: Arc<Connection>,
    /// The last event heard.
    last: Option<Position>,
    filter: SubscriptionFilter,
    /// Whether anything was heard since the last interruption that was told: an outage is told once.
    progressed: bool,
    tell: mpsc::Sender<Vec<Heard>>,
}

impl Listener {
    async fn listen_for_ever(mut self) {
        let tell = self.tell.clone();
        tokio::select! {
            () = tell.closed() => {}
            () = self.listen_again_and_again() => {}
        }
    }

    async fn listen_again_and_again(&mut self) {
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let reason = self.listen().await;
            if self.progressed {
                self.progressed = false;
                pauses.reset();
                self.tell(vec![Heard::Interrupted(reason)]).await;
            }
            sleep(pauses.take()).await;
        }
    }

    /// Listens until something ends it, and answers what did.
    async fn listen(&mut self) -> String {
        let connection = Arc::clone(&self.connection);
        self.listen_over(&connection).await.to_string()
    }

    async fn listen_over(&mut self, connection: &Connection) -> Failure {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let _turn = match connection.turn(deadline).await {
            Ok(turn) => turn,
            Err(failure) => return failure,
        };
        let link = match connection.connected(deadline).await {
            Ok(link) => link,
            Err(failure) => return failure,
        };
        let subscription = link.client().subscribe_to_all(&self.options()).await;
        let failure = self.hear(subscription, || connection.note(&link, None)).await;
        connection.note(&link, Some(&failure));
        failure
    }

    fn options(&self) -> SubscribeToAllOptions {
        let from = match self.last {
            Some(position) => StreamPosition::Position(convert::position(position)),
            None => StreamPosition::Start,
        };
        SubscribeToAllOptions::default().position(from).filter(self.filter.clone())
    }

    /// Tells what the subscription says, batch by batch, until it fails.
    async fn hear(&mut self, subscription: Subscription, succeeded: impl Fn()) -> Failure {
        let breaker = LoopBreaker::new();
        // The client loses its place when its future is dropped half-way; this stream keeps the future.
        let mut messages = pin!(stream::unfold(subscription, |mut subscription| async {
            let message = breaker.await_ending(subscription.next_subscription_event()).await;
            Some((message, subscription))
        }));
        loop {
            let mut batch = Batch::default();
            let mut message = messages.next().await;
            let failure = loop {
                match message {
                    Some(Ok(Ok(message))) => batch.take(message),
                    Some(Ok(Err(error))) => break Some(Failure::from(error)),
                    Some(Err(Unwound)) | None => {
                        break Some(Failure::Open("the server ended the subscription".to_owned()));
                    }
                }
                if batch.is_full() {
                    break None;
                }
                match messages.next().now_or_never() {
                    Some(next) => message = next,
                    None => break None,
                }
            };
            if !batch.heard.is_empty() {
                self.progressed = true;
                self.last = batch.last.or(self.last);
                succeeded();
                self.tell(batch.heard).await;
            }
            if let Some(failure) = failure {
                return failure;
            }
        }
    }

    async fn tell(&self, heard: Vec<Heard>) {
        // It fails when nobody listens any more, which ends this listener anyway.
        let _ = self.tell.send(heard).await;
    }
}

#[derive(Default)]
struct Batch {
    heard: Vec<Heard>,
    bytes: usize,
    last: Option<Position>,
}

impl Batch {
    fn take(&mut self, message: SubscriptionEvent) {
        match message {
            SubscriptionEvent::EventAppeared(event) => {
                if let Some(event) = convert::stored(event) {
                    self.bytes += event.data.len() + event.metadata.len();
                    self.last = Some(event.position);
                    self.heard.push(Heard::Event(event));
                }
            }
            SubscriptionEvent::CaughtUp => self.heard.push(Heard::CaughtUp),
            SubscriptionEvent::Confirmed(_)
            | SubscriptionEvent::Checkpoint(_)
            | SubscriptionEvent::FirstStreamPosition(_)
            | SubscriptionEvent::LastStreamPosition(_)
            | SubscriptionEvent::LastAllPosition(_)
            | SubscriptionEvent::FellBehind => {}
        }
    }

    fn is_full(&self) -> bool {
        self.heard.len() >= BATCH_EVENTS || self.bytes >= BATCH_BYTES
    }
}

/// Servers ignore prefixes beside a regular expression, so it is one or the other.
fn stream_filter(filter: Filter) -> SubscriptionFilter {
    let on_name = SubscriptionFilter::on_stream_name().max(FILTER_WINDOW);
    if filter.stream_prefixes.is_empty() {
        return on_name.exclude_system_events();
    }
    filter.stream_prefixes.into_iter().fold(on_name, SubscriptionFilter::add_prefix)
}
