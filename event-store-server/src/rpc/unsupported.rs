//! What this server does not do, said clearly.

use super::status;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use std::convert::Infallible;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response, header};
use tonic::{Status, body::Body};
use tower::ServiceExt as _;

/// There are no persistent subscriptions, so their list is empty.
pub(super) const LIST: &str = "/event_store.client.persistent_subscriptions.PersistentSubscriptions/List";

/// A message without a field: not compressed, no bytes.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// The answer to a call of a service that is not here; what is no call is asked of `http`.
pub(super) async fn call(
    request: Request<axum::body::Body>,
    http: axum::Router,
) -> Response<axum::body::Body> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        let Ok(response) = http.oneshot(request).await;
        return response;
    }
    Status::unimplemented(status::clipped(format!(
        "The call {} is not supported by this event store server; KurrentDB supports it.",
        request.uri().path()
    )))
    .into_http()
}

/// The answer to [`LIST`].
pub(super) async fn empty_list() -> Response<Body> {
    let ok = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
    let frames =
        [Frame::data(Bytes::from_static(EMPTY_MESSAGE)), Frame::trailers(ok)].map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::new(StreamBody::new(stream::iter(frames))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
