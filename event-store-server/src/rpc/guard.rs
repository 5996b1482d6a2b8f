//! Who may call, where users are configured: every call but the two that clients make before they show who they are.

use crate::users::{Busy, Users};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tonic::Status;
use tonic::codegen::http::header;

/// What all calls begin with. Nothing else tells a call for certain: one is served whatever its content type is.
const CALLS: &str = "/event_store.client.";

/// Calls that tell nothing secret, and that clients make without credentials.
const OPEN: [&str; 2] = ["/event_store.client.server_features.", "/event_store.client.gossip."];

pub(super) async fn guard(State(users): State<Users>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.starts_with(CALLS) || OPEN.iter().any(|open| path.starts_with(open)) {
        return next.run(request).await;
    }
    match request.headers().get(header::AUTHORIZATION) {
        Some(header) => match users.know(header.as_bytes()).await {
            Ok(true) => next.run(request).await,
            Ok(false) => Status::unauthenticated("The user's name or password is wrong.").into_http(),
            Err(Busy) => Status::unavailable("Too many passwords wait to be checked. Try again.").into_http(),
        },
        None => Status::unauthenticated(
            "This event store asks who calls: put a user's name and password into the connection string, as in esdb://NAME:PASSWORD@HOST.",
        )
        .into_http(),
    }
}
