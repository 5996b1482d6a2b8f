//! Where a service listens, and how it stops.

use crate::limits::Peer;
use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::convert::Infallible;
use std::io::{Cursor, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// How long requests under way may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// How many connections one listener has at once.
const MAX_CONNECTIONS: usize = 16_384;

/// How long a client may take for the headers of a request, from its first moment of silence on.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);

/// How long a client may take for the first bytes of an HTTP/2 connection, and how many they are (RFC 9113, section 3.4).
const PREFACE_WITHIN: Duration = Duration::from_secs(10);
const PREFACE_BYTES: usize = 24;

/// How long a client may leave what it is sent unread.
const READ_WITHIN_MS: u32 = 20_000;

/// The most that the headers of a request may take, in bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// The same over HTTP/2, where it is counted unpacked.
const MAX_HEADER_LIST_BYTES: u32 = 32 * 1024;

/// How many requests one HTTP/2 connection has under way at once.
const MAX_STREAMS: u32 = 256;

/// How long to wait before accepting again when the system refuses, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Among a request's extensions: cancelled when its listener stops. An answer that has no end of its own ends then.
#[derive(Clone, Debug)]
pub struct Stopping(pub CancellationToken);

/// What makes it right to listen where other machines can reach a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nothing does: only loopback addresses are listened on.
    Loopback,
    /// Callers have to show who they are.
    Guarded,
    /// Its operator said so (`--insecure`), although nothing asks callers who they are.
    Insecure,
}

impl Exposure {
    /// Of a service that asks nobody who they are.
    #[must_use]
    pub fn unguarded(insecure: bool) -> Self {
        if insecure { Self::Insecure } else { Self::Loopback }
    }
}

/// Why a service cannot listen: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process has the port.
    #[error(
        "{service}: {addr} is already in use; stop the other process, or choose another address with {setting}"
    )]
    Taken {
        /// Who wanted to listen.
        service: &'static str,
        /// Where.
        addr: SocketAddr,
        /// The flag or variable that changes it.
        setting: &'static str,
    },
    /// Other machines could reach it and nothing would ask them who they are.
    #[error(
        "{service}: {addr} can be reached by other machines, and nothing asks who they are; listen on 127.0.0.1, configure authentication, or pass --insecure if the network is trusted"
    )]
    Unprotected {
        /// Who wanted to listen.
        service: &'static str,
        /// Where.
        addr: SocketAddr,
    },
    /// Anything else the system says.
    #[error("{service}: cannot listen on {addr} (change it with {setting}): {source}")]
    Io {
        /// Who wanted to listen.
        service: &'static str,
        /// Where.
        addr: SocketAddr,
        /// The flag or variable that changes it.
        setting: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Opens the listening socket of `service`; port 0 takes any free one. `setting` is what its user would change.
///
/// # Errors
/// [`ListenError`]: taken, not loopback while nothing makes that right, or what the system says.
pub async fn bind(
    service: &'static str,
    setting: &'static str,
    addr: SocketAddr,
    exposure: Exposure,
) -> Result<TcpListener, ListenError> {
    match exposure {
        _ if addr.ip().is_loopback() => {}
        Exposure::Guarded => {}
        Exposure::Loopback => return Err(ListenError::Unprotected { service, addr }),
        Exposure::Insecure => {
            tracing::warn!(service, %addr, "listening without authentication where other machines can reach it (--insecure)");
        }
    }
    TcpListener::bind(addr).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ListenError::Taken { service, addr, setting },
        _ => ListenError::Io { service, addr, setting, source },
    })
}

/// Serves `router` until `shutdown`, then lets requests under way end for at most five seconds. A client that is slow
/// with its headers, reads no answer, or is idle for long, is cut off, and there are only so many at once.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    serve_by(connection, listener, router, shutdown).await;
}

/// The same for gRPC, which is HTTP/2 from the first byte on.
pub async fn serve_calls(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    serve_by(connection_of_calls, listener, router, shutdown).await;
}

/// What a connection is served with.
struct Served {
    peer: SocketAddr,
    router: Router,
    stopping: Stopping,
    watcher: Watcher,
}

async fn serve_by<C, E>(
    connection: impl Fn(TcpStream, Served) -> C,
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) where
    C: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<anyhow::Error>,
{
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            // Who comes when there is no room waits in the queue of the system.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (router, stopping) = (router.clone(), Stopping(shutdown.clone()));
                    let served = Served { peer, router, stopping, watcher: graceful.watcher() };
                    // What is awaited takes its place twice in whatever awaits it, unless that is elsewhere.
                    let connection = Box::pin(connection(stream, served));
                    tokio::spawn(async move {
                        let _place = place;
                        if let Err(error) = connection.await.map_err(E::into) {
                            tracing::debug!(error = format!("{error:#}"), %peer, "a connection ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    shutdown.run_until_cancelled(accepting).await;
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!(drain_secs = DRAIN.as_secs(), "requests still under way were cut off");
    }
}

/// One connection; its requests know the other end of it.
fn connection(stream: TcpStream, served: Served) -> impl Future<Output = hyper::Result<()>> + Send {
    set_up(&stream);
    let Served { peer, router, stopping, watcher } = served;
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), requests(peer, router, stopping));
    watcher.watch(connection)
}

/// The same over HTTP/2. A client that does not answer a ping is cut off.
async fn connection_of_calls(stream: TcpStream, served: Served) -> anyhow::Result<()> {
    set_up(&stream);
    let Served { peer, router, stopping, watcher } = served;
    // Nothing is under way before it, so a stop does not wait for it.
    let opening = tokio::time::timeout(PREFACE_WITHIN, opened(stream));
    let Some(opening) = stopping.0.run_until_cancelled(opening).await else { return Ok(()) };
    let stream = opening.context("its first bytes did not come in time")??;
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(HEADERS_WITHIN)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .serve_connection(TokioIo::new(stream), requests(peer, router, stopping));
    Ok(watcher.watch(connection).await?)
}

/// The same connection, once its first bytes are there.
async fn opened(mut stream: TcpStream) -> std::io::Result<impl AsyncRead + AsyncWrite + Unpin + Send> {
    let mut preface = [0; PREFACE_BYTES];
    stream.read_exact(&mut preface).await?;
    let (reading, writing) = stream.into_split();
    Ok(tokio::io::join(Cursor::new(preface).chain(reading), writing))
}

/// Small answers go out at once, and whoever reads none is cut off by the system.
fn set_up(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was not set");
    }
    if let Err(error) = set_tcp_user_timeout(stream, READ_WITHIN_MS) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT was not set");
    }
}

fn requests(
    peer: SocketAddr,
    router: Router,
    stopping: Stopping,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Send + 'static
{
    TowerToHyperService::new(router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(stopping.clone());
        request
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_told_with_the_setting_that_changes_it() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = first.local_addr().unwrap();
        let error = bind("query-api", "QUERY_API_LISTEN", addr, Exposure::Loopback).await.unwrap_err();
        assert!(error.to_string().contains("already in use"), "{error}");
        assert!(error.to_string().contains("QUERY_API_LISTEN"), "{error}");
    }

    #[tokio::test]
    async fn an_address_that_others_can_reach_is_refused_without_authentication() {
        let anywhere = ([0, 0, 0, 0], 0).into();
        let error = bind("query-api", "X", anywhere, Exposure::Loopback).await.unwrap_err();
        assert!(matches!(error, ListenError::Unprotected { .. }), "{error}");
        for exposure in [Exposure::Guarded, Exposure::Insecure] {
            assert!(bind("query-api", "X", anywhere, exposure).await.is_ok());
        }
    }
}
