//! A wire between a projector and the event store that doubles and holds back what a subscription tells. The programs at
//! its ends are the real ones; everything else passes as it came.

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, StreamBody, combinators::BoxBody};
use hyper::Request;
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2 as upstream;
use hyper::server::conn::http2 as downstream;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

/// What becomes of an event on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It comes.
    Comes,
    /// It comes, and once more so much later.
    Twice(Duration),
    /// It comes so much later.
    Late(Duration),
    /// It comes when the wire lets go of it.
    Held,
}

/// Decides about an event that a subscription tells, by its message as it is on the wire.
type Fates = Arc<dyn Fn(&[u8]) -> Fate + Send + Sync>;

/// By how much the answer to a read is late, by the message of its first event.
type Delays = Arc<dyn Fn(&[u8]) -> Duration + Send + Sync>;

pub(crate) struct Wire {
    url: String,
    let_go: watch::Sender<bool>,
    _relaying: AbortOnDropHandle<()>,
}

impl Wire {
    /// A wire to the store at `url`.
    pub(crate) async fn to(url: &str, fates: impl Fn(&[u8]) -> Fate + Send + Sync + 'static) -> Self {
        Self::between(url, Arc::new(fates), Arc::new(|_| Duration::ZERO)).await
    }

    /// One over which some answers to reads come late.
    pub(crate) async fn slow_to(
        url: &str,
        delays: impl Fn(&[u8]) -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self::between(url, Arc::new(|_| Fate::Comes), Arc::new(delays)).await
    }

    async fn between(url: &str, fates: Fates, delays: Delays) -> Self {
        let store = url.trim_start_matches("esdb://").split('?').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("esdb://{}?tls=false", listener.local_addr().unwrap());
        let (let_go, held) = watch::channel(false);
        let relaying = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(relay(
                    socket,
                    store.clone(),
                    Arc::clone(&fates),
                    Arc::clone(&delays),
                    held.clone(),
                ));
            }
        });
        Self { url, let_go, _relaying: AbortOnDropHandle::new(relaying) }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// What was held comes now, and nothing is held any more.
    pub(crate) fn let_go(&self) {
        self.let_go.send_replace(true);
    }
}

/// Relays one connection, until either end closes it.
async fn relay(socket: TcpStream, store: String, fates: Fates, delays: Delays, held: watch::Receiver<bool>) {
    let Ok(to_store) = TcpStream::connect(store).await else { return };
    let handshake = upstream::handshake(TokioExecutor::new(), TokioIo::new(to_store)).await;
    let Ok((sender, connection)) = handshake else { return };
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let service = service_fn(move |request: Request<Incoming>| {
        let (mut sender, held) = (sender.clone(), held.clone());
        let (fates, delays) = (Arc::clone(&fates), Arc::clone(&delays));
        async move {
            let response = sender.send_request(request).await?;
            Ok::<_, hyper::Error>(response.map(|body| pass(body, fates, delays, held)))
        }
    });
    let mut server = downstream::Builder::new(TokioExecutor::new());
    server.timer(TokioTimer::new());
    // It fails when either end goes away.
    let _ = server.serve_connection(TokioIo::new(socket), service).await;
}

/// The body of an answer, message by message.
fn pass(
    mut body: Incoming,
    fates: Fates,
    delays: Delays,
    held: watch::Receiver<bool>,
) -> BoxBody<Bytes, Infallible> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (mut bytes, mut subscription, mut delayed) = (BytesMut::new(), None, false);
        while let Some(Ok(frame)) = body.frame().await {
            match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(trailers) => {
                    let _ = sender.send(trailers);
                    return;
                }
            }
            while let Some(message) = next_message(&mut bytes) {
                // In an answer to `Read`, field 1 is an event, and field 2 is what every subscription begins with.
                let field = message.get(5).map_or(0, |tag| tag >> 3);
                let is_subscription = *subscription.get_or_insert(field == 2);
                if !is_subscription && field == 1 && !delayed {
                    delayed = true;
                    tokio::time::sleep(delays(&message)).await;
                }
                let fate = if is_subscription && field == 1 { fates(&message) } else { Fate::Comes };
                if matches!(fate, Fate::Comes | Fate::Twice(_)) && sender.send(data(&message)).is_err() {
                    return;
                }
                let (sender, mut held) = (sender.clone(), held.clone());
                tokio::spawn(async move {
                    match fate {
                        Fate::Comes => return,
                        Fate::Twice(after) | Fate::Late(after) => tokio::time::sleep(after).await,
                        Fate::Held => drop(held.wait_for(|let_go| *let_go).await),
                    }
                    let _ = sender.send(data(&message));
                });
            }
        }
    });
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let frame: Frame<Bytes> = receiver.recv().await?;
        Some((Ok(frame), receiver))
    });
    BoxBody::new(StreamBody::new(Box::pin(frames)))
}

/// The next whole message with its head: a byte of flags, and four of its length.
fn next_message(bytes: &mut BytesMut) -> Option<Bytes> {
    let length = usize::try_from(bytes.get(1..5)?.get_u32()).unwrap() + 5;
    (bytes.len() >= length).then(|| bytes.split_to(length).freeze())
}

fn data(message: &Bytes) -> Frame<Bytes> {
    Frame::data(message.clone())
}

/// Whether an event on its way has this text in it.
pub(crate) fn contains(event: &[u8], text: &str) -> bool {
    event.windows(text.len()).any(|part| part == text.as_bytes())
}
