//! The answers of a call that streams them, page by page.

use futures_util::{Stream, StreamExt as _, stream};
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// The stream of answers that tonic sends.
pub(super) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Where a call puts its answers. Holds one page; putting the next one waits until the client has taken it, so a
/// client that does not read costs what two pages cost, and nothing more.
#[derive(Debug)]
pub(super) struct Pages<T>(mpsc::Sender<Vec<T>>);

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
    pub(super) async fn put(&self, page: Vec<T>) -> Result<(), Gone> {
        if page.is_empty() {
            return Ok(());
        }
        self.0.send(page).await.map_err(|_| Gone)
    }

    /// Waits until a page can be put without waiting.
    pub(super) async fn room(&self) -> Result<mpsc::Permit<'_, Vec<T>>, Gone> {
        self.0.reserve().await.map_err(|_| Gone)
    }

    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }
}

/// Runs `call` in a task of its own and streams what it puts. When the server shuts down, the answers end with
/// `Unavailable` at once.
pub(super) fn respond<T, F>(shutdown: CancellationToken, call: impl FnOnce(Pages<T>) -> F) -> Responses<T>
where
    T: Send + 'static,
    F: Future<Output = Result<(), End>> + Send + 'static,
{
    let (sender, pages) = mpsc::channel(1);
    let call = call(Pages(sender));
    let ended = tokio::spawn(async move {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Err(End::Status(super::status::shutting_down())),
            ended = call => ended,
        }
    });
    let answers = ReceiverStream::new(pages).flat_map(|page| stream::iter(page.into_iter().map(Ok)));
    // The channel is closed when the task has ended, so waiting for its verdict then takes no time.
    let verdict = stream::once(async move {
        match ended.await {
            Ok(Ok(()) | Err(End::Gone)) => None,
            Ok(Err(End::Status(status))) => Some(Err(status)),
            Err(error) => Some(Err(Status::internal(format!("The call broke off: {error}")))),
        }
    });
    Box::pin(answers.chain(verdict.filter_map(std::future::ready)))
}
