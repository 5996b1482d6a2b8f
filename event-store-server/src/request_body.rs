//! Requests that their clients break off.

use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::{Code, Status};

/// Makes a request that is broken off end with an error. Otherwise tonic ends its messages as if it were complete, and
/// the first half of an append would be taken for all of it.
pub(crate) fn fail_when_broken_off(request: Request<Body>) -> Request<Body> {
    request.map(|body| {
        Body::new(body.map_err(|status| match status.code() {
            Code::Cancelled => Status::aborted("The client broke the call off."),
            _ => status,
        }))
    })
}
