//! The statuses that calls fail with: codes, texts and metadata as the clients of the protocol know them.

use crate::log::{ChangeError, ExpectedRevision, ReadError, Revision};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};
use uuid::Uuid;

/// The bytes of a text that go out whole. It travels in a header, in which a byte may take three, and for all of which together
/// some clients have 8 KiB; who gets more of them ends the call, or the connection.
const TEXT: usize = 1024;

/// The text, without the middle of one that is longer than a header should be: what a caller sent may be a part of it.
pub(super) fn clipped(text: String) -> String {
    if text.len() <= TEXT {
        return text;
    }
    let (begin, end) = (text.floor_char_boundary(TEXT / 2), text.ceil_char_boundary(text.len() - TEXT / 2));
    format!("{} [...] {}", &text[..begin], &text[end..])
}

/// The request makes no sense; the text may have in it what was sent.
pub(super) fn invalid(text: impl Into<String>) -> Status {
    Status::invalid_argument(clipped(text.into()))
}

pub(super) fn missing_metadata_property(name: &str) -> Status {
    with_exception(
        Code::InvalidArgument,
        format!("Required Metadata Property '{name}' is missing"),
        "missing-required-metadata-property",
        &[("required-metadata-properties", "type,content-type")],
    )
}

pub(super) fn event_too_large(id: Uuid, size: usize, limit: usize) -> Status {
    with_exception(
        Code::InvalidArgument,
        format!("Event with Id: {id}, Size: {size}, exceeds Maximum Append Event Size of {limit}."),
        "maximum-append-event-size-exceeded",
        &[
            ("maximum-append-event-size", &limit.to_string()),
            ("event-id", &id.to_string()),
            ("proposed-append-event-size", &size.to_string()),
        ],
    )
}

pub(super) fn append_too_large(limit: usize) -> Status {
    with_exception(
        Code::InvalidArgument,
        format!("Maximum Append Size of {limit} Exceeded."),
        "maximum-append-size-exceeded",
        &[("maximum-append-size", &limit.to_string())],
    )
}

/// The stream is deleted for ever.
pub(super) fn stream_deleted(stream: &str) -> Status {
    with_exception(
        Code::FailedPrecondition,
        format!("Event stream '{stream}' is deleted."),
        "stream-deleted",
        &[("stream-name", stream)],
    )
}

/// A deletion did not find the stream as expected. `operation` begins the sentence.
pub(super) fn wrong_expected_version(
    operation: &str,
    stream: &str,
    expected: ExpectedRevision,
    actual: Option<Revision>,
) -> Status {
    // As numbers, the way the protocol writes them.
    let expected = match expected {
        ExpectedRevision::Exact(revision) => revision,
        ExpectedRevision::NoStream => -1,
        ExpectedRevision::Any => -2,
        ExpectedRevision::StreamExists => -4,
    };
    let actual = actual.unwrap_or(-1);
    with_exception(
        Code::FailedPrecondition,
        format!(
            "{operation} failed due to WrongExpectedVersion. Stream: {stream}, Expected version: {expected}, Actual version: {actual}"
        ),
        "wrong-expected-version",
        &[
            ("stream-name", stream),
            ("expected-version", &expected.to_string()),
            ("actual-version", &actual.to_string()),
        ],
    )
}

pub(super) fn invalid_position() -> Status {
    Status::invalid_argument("Trying to read from an invalid position.")
}

pub(super) fn too_busy() -> Status {
    Status::unavailable("Server Is Too Busy")
}

/// What other clients do not take leaves no room for more.
pub(super) fn unread() -> Status {
    Status::unavailable(
        "Too much waits for clients that do not read: nothing more is read for now. Try again.",
    )
}

/// What others read by leaves no room for one more filter.
pub(super) fn too_many_filters() -> Status {
    Status::unavailable(
        "The filters of reads and subscriptions that are under way leave no memory for this one. Try again when some have ended.",
    )
}

/// What the client of this call did not take is needed by others.
pub(super) fn not_taken() -> Status {
    Status::unavailable(
        "The answers were not read, and others need their memory: the call was ended. Try again.",
    )
}

/// The outcome of the append is not known.
pub(super) fn write_timeout() -> Status {
    Status::aborted("Operation timed out: the append was not committed in time; it may still be.")
}

pub(super) fn shutting_down() -> Status {
    Status::unavailable("The event store is shutting down.")
}

impl From<ChangeError> for Status {
    fn from(error: ChangeError) -> Self {
        let text = clipped(error.to_string());
        match error {
            ChangeError::Full => Self::resource_exhausted(text),
            ChangeError::Damaged(_) => Self::data_loss(text),
            ChangeError::Busy | ChangeError::Stopped(_) | ChangeError::Closed | ChangeError::Unknown => {
                Self::unavailable(text)
            }
        }
    }
}

impl From<ReadError> for Status {
    fn from(error: ReadError) -> Self {
        let text = clipped(error.to_string());
        match error {
            ReadError::Corrupt { .. }
            | ReadError::NotReadable { .. }
            | ReadError::Missing { .. }
            | ReadError::MissingFromLog { .. }
            | ReadError::CorruptFile(_) => {
                tracing::error!(%text, "damaged data was found by a read");
                Self::data_loss(text)
            }
            ReadError::Failed(_) => {
                tracing::error!(%text, "a read failed");
                Self::unavailable(text)
            }
            ReadError::Closed => Self::unavailable(text),
        }
    }
}

fn with_exception(
    code: Code,
    text: String,
    exception: &'static str,
    more: &[(&'static str, &str)],
) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("exception", AsciiMetadataValue::from_static(exception));
    for (key, value) in more {
        // The text has everything too; a stream's name that no header can carry is left out.
        if let Ok(value) = value.parse() {
            metadata.insert(*key, value);
        }
    }
    Status::with_metadata(code, clipped(text), metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_the_beginning_and_the_end_go_out_and_no_character_is_cut() {
        let text = "x".repeat(TEXT);
        assert_eq!(clipped(text.clone()), text);
        for length in 1_100..1_110 {
            let status = invalid(format!("'{}{}' is no name.", "x".repeat(length), "도서".repeat(1_000)));
            let said = status.message();
            assert!(said.len() < TEXT + 10, "{said}");
            assert!(
                said.starts_with("'xxx") && said.contains(" [...] ") && said.ends_with("서' is no name."),
                "{said}"
            );
        }
    }
}
