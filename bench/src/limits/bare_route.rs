//! The least that an HTTP route can do: read the request, answer bytes that are always the same.

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::routing::any;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use tokio::net::TcpListener;

/// Answers every request with `answer`.
pub(super) async fn serve(listener: TcpListener, answer: Bytes, status: StatusCode) -> anyhow::Result<()> {
    let json = HeaderValue::from_static("application/json");
    let route = any(move |_: Bytes| {
        let (json, answer) = (json.clone(), answer.clone());
        async move { (status, [(header::CONTENT_TYPE, json)], answer) }
    });
    let listener = listener.tap_io(|tcp| {
        // Only speed is lost where the system refuses.
        let _ = tcp.set_nodelay(true);
    });
    axum::serve(listener, Router::new().route("/{*path}", route)).await?;
    Ok(())
}
