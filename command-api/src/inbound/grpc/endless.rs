//! Streams that end only when somebody ends them: who watches the health, who asks for the definition. They need no token, so
//! they are few, none lasts for ever, and a stop waits for none.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use service_kit::limits::overloaded;
use service_kit::listen::Stopping;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How many there are at once.
const AT_ONCE: usize = 64;

/// How long one lasts.
const LASTS: Duration = Duration::from_secs(600);

/// The one call among them that ends by itself: a probe is answered however many watch.
const PROBE: &str = "/grpc.health.v1.Health/Check";

/// Bounds the answers of `routes`.
pub(super) fn bounded(routes: Router) -> Router {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    routes.layer(middleware::from_fn(move |request: Request, next: Next| {
        let room = Arc::clone(&room);
        async move {
            if request.uri().path() == PROBE {
                return next.run(request).await;
            }
            let Ok(place) = room.try_acquire_owned() else { return overloaded().into_response() };
            let stopping = request.extensions().get::<Stopping>();
            let over =
                stopping.map_or_else(CancellationToken::new, |Stopping(stopping)| stopping.child_token());
            // Whoever answers may still listen when nobody is answered any more.
            let request = request.map(|body| until(over.clone(), body));
            next.run(request).await.map(|body| bounded_body(body, over, place))
        }
    }))
}

/// The same body; it ends when it is over.
fn until(over: CancellationToken, body: Body) -> Body {
    let frames = stream::unfold((body, over), |(mut body, over)| async move {
        let frame = over.run_until_cancelled(body.frame()).await.flatten();
        frame.map(|frame| (frame, (body, over)))
    });
    Body::new(StreamBody::new(frames))
}

/// The same body; it ends in time and when it is over, and then all is over.
fn bounded_body(body: Body, over: CancellationToken, place: OwnedSemaphorePermit) -> Body {
    let end = Box::pin(tokio::time::timeout(LASTS, over.clone().cancelled_owned()));
    let held = (over.drop_guard(), place);
    let frames = stream::unfold(Some((body, end, held)), |under_way| async move {
        let (mut body, mut end, held) = under_way?;
        tokio::select! {
            frame = body.frame() => frame.map(|frame| (frame, Some((body, end, held)))),
            _ = &mut end => Some((Ok(last()), None)),
        }
    });
    Body::new(StreamBody::new(frames))
}

/// Tells the caller to come again.
fn last() -> Frame<Bytes> {
    let status = Status::unavailable("the stream ends here; begin another one");
    Frame::trailers(status.into_http::<()>().into_parts().0.headers)
}
