//! The server, put together.

use crate::config::{Config, Limits};
use crate::connection;
use crate::log::{Log, OpenError};
use crate::request_body::Receiving;
use crate::users::Users;
use crate::{http, rpc};
use service_kit::Health;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tower::util::{MapRequestLayer, MapResponseLayer};

/// How often an idle peer is asked whether it is still there, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long connections that were cut may take to notice.
const CUT: Duration = Duration::from_secs(1);

/// Serving failed for good.
#[derive(Debug, thiserror::Error)]
#[error("the event store server failed: {0}")]
pub struct ServeError(#[from] tonic::transport::Error);

/// An event store: a data directory that this process has to itself, ready to be served.
pub struct EventStoreServer {
    log: Log,
    limits: Limits,
    quickack: bool,
    tls: Option<TlsAcceptor>,
    users: Option<Users>,
    temporary: Option<Arc<TempDir>>,
}

impl fmt::Debug for EventStoreServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EventStoreServer").field("log", &self.log).finish_non_exhaustive()
    }
}

impl EventStoreServer {
    /// Opens the data directory, making it if it is missing, and locks it.
    ///
    /// # Errors
    /// When another server has the directory, or it was written by a newer version, or it cannot be used.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let Config { data_dir, limits, quickack, users, tls, durable, temporary } = config;
        let tls = tls.map(|tls| tls.acceptor()).transpose()?;
        let users = users.map(|path| Users::read(&path)).transpose()?;
        let log = Log::open(&data_dir, limits.max_store_bytes, durable)?;
        tracing::info!(data_dir = %data_dir.display(), position = *log.committed().borrow(), "event store opened");
        Ok(Self { log, limits, quickack, tls, users, temporary })
    }

    /// Closes the data directory again, without having served.
    pub async fn close(self) {
        self.log.close().await;
    }

    /// Answers calls on `listener` until `shutdown`: then it stops accepting, ends subscriptions and reads with
    /// `Unavailable`, lets appends finish, cuts what is still connected after [`Limits::shutdown_grace`], and closes
    /// the data directory.
    ///
    /// # Errors
    /// When accepting connections fails for good; the data directory is closed then too.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
        let Self { log, limits, quickack, tls, users, temporary } = self;
        let (cut, grace) = (CancellationToken::new(), limits.shutdown_grace);
        let incoming = connection::incoming(listener, quickack, tls, &limits, cut.clone(), shutdown.clone());
        if users.is_none() {
            tracing::warn!(
                service = http::SERVICE,
                "no users are configured (--users): whoever reaches it may do anything"
            );
        }
        let health = Health::default();
        let (asked, stopping) = (log.clone(), shutdown.clone());
        health.ask("log", move || http::accepts(&asked, &stopping));
        let receiving = Receiving::new(&limits);
        let mut server = Server::builder()
            .accept_http1(true)
            .max_concurrent_streams(limits.max_concurrent_streams)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .layer(MapRequestLayer::new(move |request| receiving.receive(request)))
            .layer(MapResponseLayer::new(rpc::counted));
        let http = http::routes(log.clone(), &health, if users.is_some() { "basic" } else { "insecure" });
        let routes = rpc::routes(log.clone(), limits, http, users, shutdown.clone());
        let serving = server
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
        let overdue = async {
            shutdown.cancelled().await;
            tokio::time::sleep(grace).await;
            tracing::warn!("connections still open after the grace period were cut");
            cut.cancel();
            tokio::time::sleep(CUT).await;
        };
        let served = tokio::select! {
            served = serving => served,
            () = overdue => Ok(()),
        };
        log.close().await;
        drop(temporary);
        tracing::info!("event store closed");
        Ok(served?)
    }
}
