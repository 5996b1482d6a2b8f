//! Accepted connections: set up for small messages in both directions, under TLS where that is configured, cut when
//! shutdown takes too long, or their client says nothing, takes nothing or keeps memory from others.

use crate::config::Limits;
use crate::memory::Share;
use futures_util::Stream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// How long to wait before accepting again when the system refuses, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections there are at once. Who comes when there is no room waits in the queue of the system.
const MAX_CONNECTIONS: usize = 16_384;

/// The connections that `listener` accepts, without end. Handshakes keep nobody else waiting.
pub(crate) fn incoming(
    listener: TcpListener,
    quickack: bool,
    tls: Option<TlsAcceptor>,
    limits: &Limits,
    cut: CancellationToken,
    shutdown: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let (sender, accepted) = mpsc::channel(16);
    let Limits { silence, max_pending_bytes, max_unread_bytes, .. } = *limits;
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tokio::spawn(async move {
        let accepting = async {
            loop {
                let Ok(place) = Arc::clone(&room).acquire_owned().await else { break };
                let cut = cut.child_token();
                let (tcp, peer) = match listener.accept().await {
                    Ok((tcp, _)) => {
                        let peer = Peer {
                            reached: tcp.local_addr().ok(),
                            unfinished: Share::of(max_pending_bytes, cut.clone()),
                            unread: Share::of(max_unread_bytes, cut.clone()),
                            filters: Share::of(max_unread_bytes, cut.clone()),
                        };
                        (PlainConnection::new(tcp, quickack, 2 * silence, cut), peer)
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let Some(tls) = tls.clone() else {
                    let plain = Connection::new(Channel::Plain(tcp), silence, peer, place);
                    if sender.send(Ok(plain)).await.is_err() {
                        break;
                    }
                    continue;
                };
                let sender = sender.clone();
                tokio::spawn(async move {
                    match tokio::time::timeout(silence, tls.accept(tcp)).await {
                        Ok(Ok(tls)) => {
                            let tls = Connection::new(Channel::Tls(Box::new(tls)), silence, peer, place);
                            // An error means that the server has ended meanwhile.
                            drop(sender.send(Ok(tls)).await);
                        }
                        Ok(Err(error)) => tracing::debug!(%error, "a client did not agree on TLS"),
                        Err(_) => tracing::debug!("a client took too long to agree on TLS"),
                    }
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = shutdown.cancelled() => {}
        }
    });
    ReceiverStream::new(accepted)
}

/// What calls know of their connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The address at which the client reached this server.
    pub(crate) reached: Option<SocketAddr>,
    /// The memory that its calls share, for what they send and do not end.
    pub(crate) unfinished: Share,
    /// And for what they ask for and do not take.
    pub(crate) unread: Share,
    /// And for what they read by.
    pub(crate) filters: Share,
}

/// One accepted connection.
pub(crate) struct Connection {
    channel: Channel,
    /// When it is cut, unless something was sent before: so a client that says nothing holds no place. The first thing
    /// sent answers the greeting of HTTP/2, or a request of HTTP/1; from then on either protocol has a limit of its own.
    silent_until: Option<Pin<Box<Sleep>>>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

/// How bytes are carried.
enum Channel {
    Plain(PlainConnection),
    Tls(Box<TlsStream<PlainConnection>>),
}

/// A connection as the system accepts it.
pub(crate) struct PlainConnection {
    tcp: TcpStream,
    quickack: bool,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How long the client may take nothing of what is sent to it, and until when, while it takes nothing. HTTP/2 cannot tell:
    /// behind what is not taken it neither asks whether the client is there nor reads what it says.
    patience: Duration,
    untaken_until: Option<Pin<Box<Sleep>>>,
}

impl PlainConnection {
    fn new(tcp: TcpStream, quickack: bool, patience: Duration, cut: CancellationToken) -> Self {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        let cut = Box::pin(cut.cancelled_owned());
        let connection = Self { tcp, quickack, cut, patience, untaken_until: None };
        connection.acknowledge_quickly();
        connection
    }

    /// The kernel goes back to delayed acknowledgements by itself, so this is renewed after each read. Without it, a
    /// client that leaves Nagle's algorithm on waits for our acknowledgement between the two halves of a call.
    fn acknowledge_quickly(&self) {
        #[cfg(target_os = "linux")]
        if self.quickack {
            // Only speed is lost where the system refuses.
            let _ = self.tcp.set_quickack(true);
        }
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.cut.as_mut().poll(cx).map(|()| io::ErrorKind::ConnectionAborted.into())
    }

    /// What a write came to. One that waits ends when the connection is cut, or when the client takes nothing for too long.
    fn written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.untaken_until = None;
            return written;
        }
        if let Poll::Ready(cut) = self.poll_cut(cx) {
            return Poll::Ready(Err(cut));
        }
        let patience = self.patience;
        let until = self.untaken_until.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(until.as_mut().poll(cx));
        tracing::debug!("a connection was closed: its client took nothing of what was sent to it");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for PlainConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(cut) = self.poll_cut(cx) {
            return Poll::Ready(Err(cut));
        }
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if read.is_ready() {
            self.acknowledge_quickly();
        }
        read
    }
}

impl AsyncWrite for PlainConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Connection {
    fn new(channel: Channel, silence: Duration, peer: Peer, place: OwnedSemaphorePermit) -> Self {
        let silent_until = Some(Box::pin(tokio::time::sleep_until(Instant::now() + silence)));
        Self { channel, silent_until, peer, _place: place }
    }

    fn channel(self: Pin<&mut Self>) -> Pin<&mut (dyn ReadWrite + '_)> {
        match &mut self.get_mut().channel {
            Channel::Plain(plain) => Pin::new(plain as &mut dyn ReadWrite),
            Channel::Tls(tls) => Pin::new(tls.as_mut() as &mut dyn ReadWrite),
        }
    }
}

trait ReadWrite: AsyncRead + AsyncWrite + Unpin {}

impl<C: AsyncRead + AsyncWrite + Unpin> ReadWrite for C {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(silent_until) = &mut self.silent_until
            && silent_until.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.channel().poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.silent_until = None;
        self.channel().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.silent_until = None;
        self.channel().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.channel {
            Channel::Plain(plain) => plain.is_write_vectored(),
            Channel::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel().poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}
