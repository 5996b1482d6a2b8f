//! The answers of a call that streams them, page by page.

use super::on_its_way::Way;
use super::read::PAGE;
use super::status;
use super::untaken::Untaken;
use crate::log::ReadError;
use crate::memory::{Memory, Room};
use futures_util::{Stream, StreamExt as _, stream};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

/// The stream of answers that tonic sends.
pub(super) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// So many pages wait for the client, beside the one that it is taking: while one is sent, the next one is there already, and
/// another is being read.
const AHEAD: usize = 2;

/// A page is there, to be taken from those that nobody has taken.
#[derive(Debug)]
struct Page;

/// Where a call puts its answers. When [`AHEAD`] pages wait, the next one waits to be read until the client has taken one, so a
/// client that does not read costs what three pages cost, and nothing more.
#[derive(Debug)]
pub(super) struct Pages<T> {
    sender: mpsc::Sender<Page>,
    untaken: Arc<Untaken<T>>,
    memory: Memory,
}

/// Who takes the answers. What is left when it is dropped is forgotten at once.
struct Taking<T>(Arc<Untaken<T>>);

impl<T> Drop for Taking<T> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// Where the answers of one page go.
#[derive(Debug)]
pub(super) struct Place<'p, T> {
    slot: mpsc::Permit<'p, Page>,
    untaken: &'p Untaken<T>,
    room: Room,
}

impl<T> Place<'_, T> {
    pub(super) fn put(self, answers: Vec<T>) {
        if !answers.is_empty() {
            self.untaken.put(answers, Some(self.room));
            self.slot.send(Page);
        }
    }
}

/// The client has gone away: the call may end.
#[derive(Debug)]
pub(super) struct Gone;

/// How a call ends early.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody listens any more.
    Gone,
    /// With this status.
    Status(Status),
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl<E: Into<Status>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Status(error.into())
    }
}

impl<T> Pages<T> {
    /// Puts a few answers that take hardly any memory.
    pub(super) async fn put(&self, answers: Vec<T>) -> Result<(), Gone> {
        if answers.is_empty() {
            return Ok(());
        }
        let slot = self.sender.reserve().await.map_err(|_| Gone)?;
        self.untaken.put(answers, None);
        slot.send(Page);
        Ok(())
    }

    /// Reads a page of the log when the last one is taken and there is room for another, and gives the place for its answers.
    /// One that is larger than pages are is read again when there is room for all of it. `fill` tells how many events a page
    /// has, and how many bytes.
    pub(super) async fn read<P, F>(
        &self,
        read: impl Fn() -> F,
        fill: impl Fn(&P) -> (usize, usize),
    ) -> Result<(P, Place<'_, T>), End>
    where
        F: Future<Output = Result<P, ReadError>>,
    {
        let slot = self.sender.reserve().await.map_err(|_| Gone)?;
        let mut bytes = PAGE.bytes;
        loop {
            let mut room = self.memory.room(bytes).await?;
            let page = read().await?;
            let (events, size) = fill(&page);
            match room.fit(events, size) {
                Ok(()) => return Ok((page, Place { slot, untaken: &self.untaken, room })),
                Err(needed) => bytes = needed,
            }
        }
    }

    /// Waits for room for so many answers with so many bytes.
    pub(super) async fn room(&self, answers: usize, bytes: usize) -> Result<Room, Status> {
        self.memory.room_for(answers, bytes).await
    }

    /// Puts the answers, with their room, as soon as that can be done without waiting; until then they stay where they are.
    pub(super) async fn put_all_of(&self, answers: &mut Vec<T>, room: &mut Option<Room>) -> Result<(), Gone> {
        let slot = self.sender.reserve().await.map_err(|_| Gone)?;
        self.untaken.put(std::mem::take(answers), room.take());
        slot.send(Page);
        Ok(())
    }

    pub(super) async fn gone(&self) {
        self.sender.closed().await;
    }
}

/// Runs `call` in a task of its own and streams what it puts. When the server shuts down, the answers end with
/// `Unavailable` at once; so they do when others wait for the memory of what the client does not take.
pub(super) fn respond<T, F>(
    shutdown: CancellationToken,
    memory: Memory,
    call: impl FnOnce(Pages<T>) -> F,
) -> Response<Responses<T>>
where
    T: prost::Message + 'static,
    F: Future<Output = Result<(), End>> + Send + 'static,
{
    let (sender, pages) = mpsc::channel(AHEAD);
    let untaken = Arc::new(Untaken::default());
    let held = Arc::new(memory.held_by(untaken.clone()));
    let way = Way::new(untaken.clone(), held.clone());
    let call = call(Pages { sender, untaken: untaken.clone(), memory });
    let told_to_end = untaken.clone();
    let ended = tokio::spawn(async move {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Err(End::Status(status::shutting_down())),
            () = told_to_end.ended() => Ok(()),
            ended = call => ended,
        }
    });
    let taking = Taking(untaken.clone());
    let answers = ReceiverStream::new(pages).flat_map(move |Page| {
        let untaken = taking.0.clone();
        stream::iter(std::iter::from_fn(move || untaken.take())).map(Ok)
    });
    // The channel is closed when the task has ended, so waiting for its verdict then takes no time.
    let verdict = stream::once(async move {
        // As long as the answers are not taken to their end, others may ask for their memory.
        let _held = held;
        let ended = ended.await;
        if untaken.has_ended() {
            return Some(Err(status::not_taken()));
        }
        match ended {
            Ok(Ok(()) | Err(End::Gone)) => None,
            Ok(Err(End::Status(status))) => Some(Err(status)),
            Err(error) => Some(Err(Status::internal(format!("The call broke off: {error}")))),
        }
    });
    let answers: Responses<T> = Box::pin(answers.chain(verdict.filter_map(std::future::ready)));
    let mut response = Response::new(answers);
    response.extensions_mut().insert(way);
    response
}
