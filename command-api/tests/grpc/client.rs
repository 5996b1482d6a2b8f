//! The generated client, and short words for what tests say often.

use crate::support::Replica;
use books::books_client::BooksClient;
pub(crate) use books::{CorrectRequest, GetBookRequest, RenewRequest, WarehouseRequest};
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

#[allow(unreachable_pub, clippy::all, clippy::wildcard_enum_match_arm, reason = "generated")]
pub(crate) mod books {
    include!(concat!(env!("OUT_DIR"), "/client/bookstock.v1.rs"));
}

/// A client of `replica`.
pub(crate) async fn client(replica: &Replica) -> BooksClient<Channel> {
    BooksClient::new(channel(replica).await)
}

/// A connection to `replica`.
pub(crate) async fn channel(replica: &Replica) -> Channel {
    Channel::from_shared(replica.grpc()).unwrap().connect().await.unwrap()
}

/// So many copies of book 1.
pub(crate) fn copies(qty: u64) -> WarehouseRequest {
    WarehouseRequest { book_id: 1, qty, ..WarehouseRequest::default() }
}

/// A call with this metadata.
pub(crate) fn with<T>(message: T, metadata: &[(&str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in metadata {
        let name: AsciiMetadataKey = name.parse().unwrap();
        request.metadata_mut().append(name, value.parse().unwrap());
    }
    request
}

/// What metadata say of one thing.
#[track_caller]
pub(crate) fn text<'a>(metadata: &'a MetadataMap, name: &str) -> &'a str {
    metadata.get(name).unwrap_or_else(|| panic!("no {name} in {metadata:?}")).to_str().unwrap()
}

/// The details of a status, if it is this code for this reason.
#[track_caller]
pub(crate) fn details(status: &Status, code: Code, reason: &str) -> ErrorDetails {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "bookstock"), "{status:?}");
    let name = reason.to_lowercase().replace('_', "-");
    assert_eq!(info.metadata["type"], format!("urn:bookstock:problem:{name}"));
    assert!(!status.message().is_empty() && details.localized_message().is_some(), "{status:?}");
    details
}
