//! What this server does not do, said clearly.

use tonic::codegen::http;
use tonic::{Status, body::Body};

/// The answer to a call of a service that is not here.
pub(super) async fn service(uri: http::Uri) -> http::Response<Body> {
    feature(&format!("The call {}", uri.path())).into_http()
}

/// The answer to a request for `feature`, a noun phrase that begins a sentence.
pub(super) fn feature(feature: &str) -> Status {
    Status::unimplemented(format!(
        "{feature} is not supported by this event store server; KurrentDB supports it."
    ))
}
