//! The way of the results to the client. It ends well only if it is said that they are all: however else it ends, by a client
//! that leaves them unread or by a failure of our own, the answer breaks off, so that nobody takes a part for the whole.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use std::future::ready;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

/// So many pieces of results wait for a client that does not read: about a megabyte.
const PIECES_UNREAD: usize = 64;

/// What a client sees of an answer that is given up.
#[derive(Debug, thiserror::Error)]
#[error("the results end before the last")]
struct BrokenOff;

/// Where the results go.
pub(super) struct Results {
    pieces: mpsc::Sender<Bytes>,
    are_all: oneshot::Sender<()>,
}

impl Results {
    /// Such a way, and the body at its end.
    pub(super) fn open() -> (Self, Body) {
        let (pieces, told) = mpsc::channel(PIECES_UNREAD);
        let (are_all, said) = oneshot::channel();
        let end = stream::once(said).filter_map(|said| ready(said.err().map(|_| Err(BrokenOff))));
        let told = ReceiverStream::new(told).map(Ok::<_, BrokenOff>).chain(end);
        (Self { pieces, are_all }, Body::from_stream(told))
    }

    /// Sends these, as soon as there is room for them; false when the client is gone.
    pub(super) async fn send(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Waits until the client is gone.
    pub(super) async fn closed(&self) {
        self.pieces.closed().await;
    }

    /// These were all.
    pub(super) fn end(self) {
        // Nobody hears it if the client is gone.
        let _ = self.are_all.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use tokio::task::JoinHandle;

    #[tokio::test]
    async fn results_end_well_only_if_they_are_all() {
        let (results, body) = Results::open();
        assert!(results.send("a".into()).await && results.send("b".into()).await);
        results.end();
        assert_eq!(to_bytes(body, 9).await.unwrap(), "ab");

        // There is no room left to say so among them.
        let (results, body) = Results::open();
        for _ in 0..PIECES_UNREAD {
            assert!(results.send("a".into()).await);
        }
        drop(results);
        let mut pieces = body.into_data_stream();
        for _ in 0..PIECES_UNREAD {
            assert_eq!(pieces.next().await.unwrap().unwrap(), "a");
        }
        assert!(pieces.next().await.unwrap().is_err());

        let (results, body) = Results::open();
        let failing: JoinHandle<()> = tokio::spawn(async move {
            results.send("a".into()).await;
            panic!("a failure of our own");
        });
        assert!(to_bytes(body, 9).await.is_err());
        assert!(failing.await.unwrap_err().is_panic());
    }
}
