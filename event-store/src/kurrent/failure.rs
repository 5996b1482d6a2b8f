//! What the client's errors mean for a caller: above all, whether anything can have been stored.

use eventstore::{CurrentRevision, Error};

/// Why one try of a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The stream is elsewhere; nothing was stored.
    #[error("the stream has changed")]
    Conflict {
        /// The revision of its last event, if it has one.
        current: Option<u64>,
    },
    /// The store will never do it; nothing was stored.
    #[error("{0}")]
    Refused(String),
    /// As [`Failure::Refused`], because what was asked makes no sense to the store.
    #[error("{0}")]
    Invalid(String),
    /// There is nothing to read under this name.
    #[error("no node of the cluster is the leader now")]
    NotFound,
    /// The stream is deleted for ever; nothing was stored.
    #[error("the stream is deleted")]
    Deleted,
    /// What is stored there is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The call did not reach the store; nothing was stored.
    #[error("{0}")]
    Unreached(String),
    /// As [`Failure::Unreached`], and the client will never reach it again.
    #[error("{0}")]
    DeadClient(String),
    /// The node sent us to the leader, and the client is on its way there; nothing was stored.
    #[error("the leader has changed")]
    Redirected {
        /// Where the leader listens.
        port: u16,
    },
    /// The call was sent, and what came of it is not known.
    #[error("{0}")]
    Open(String),
}

/// The codes of a gRPC status that say: as it is, never. The client's own type for them cannot be named without its
/// version of tonic.
const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const FAILED_PRECONDITION: i32 = 9;
const OUT_OF_RANGE: i32 = 11;

/// How the client's own statuses begin that tell of a broken connection; some of them have the codes above.
const BROKEN_CONNECTION: &str = "h2 protocol error";

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::WrongExpectedVersion { current, .. } => Self::Conflict {
                current: match current {
                    CurrentRevision::Current(revision) => Some(revision),
                    CurrentRevision::NoStream => None,
                },
            },
            Error::ResourceNotFound => Self::NotFound,
            Error::ResourceDeleted => Self::Deleted,
            Error::AccessDenied => Self::Refused(
                "access denied; check the user and password in the connection string, and the user's rights"
                    .to_owned(),
            ),
            Error::UnsupportedFeature => Self::Refused("this store does not know how to".to_owned()),
            Error::NotLeaderException(leader) => {
                Self::Redirected { port: u16::try_from(leader.port).unwrap_or_default() }
            }
            Error::GrpcConnectionError(reason) => Self::DeadClient(reason.to_string()),
            Error::ConnectionClosed => Self::DeadClient(
                "the client has given up (if TLS is on: are CA certificates installed, or named by \
                 tlsCaFile?)"
                    .to_owned(),
            ),
            Error::InitializationError(reason) => Self::DeadClient(reason),
            Error::ServerError(status) => {
                let reason = message_of(&status);
                if status.starts_with("status: DataLoss") {
                    Self::Damaged(reason)
                } else if reason.contains("client error (Connect)") {
                    Self::Unreached("it refuses connections, or cannot be reached".to_owned())
                } else {
                    Self::Open(reason)
                }
            }
            // Not the store's word: the connection was ended (a rate limit of the protocol), whatever came of the call.
            Error::Grpc { message, .. } if message.starts_with(BROKEN_CONNECTION) => Self::Open(message),
            Error::Grpc { code, message } => match i32::from(code) {
                INVALID_ARGUMENT => Self::Invalid(message),
                RESOURCE_EXHAUSTED | FAILED_PRECONDITION | OUT_OF_RANGE => Self::Refused(message),
                _ => Self::Open(message),
            },
            Error::DeadlineExceeded => Self::Open("its deadline has passed".to_owned()),
            Error::InternalParsingError(_)
            | Error::ResourceAlreadyExists
            | Error::InternalClientError
            | Error::IllegalStateError(_) => Self::Open(error.to_string()),
        }
    }
}

/// The words meant for people, out of a printed gRPC status, which also lists details and metadata.
fn message_of(status: &str) -> String {
    let message = status.split_once("message: \"").and_then(|(_, rest)| rest.split_once("\", details: "));
    message.map_or(status, |(message, _)| message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventstore::{Endpoint, ExpectedRevision, GrpcConnectionError};

    fn server_error(code: &str, message: &str) -> Error {
        Error::ServerError(format!(
            "status: {code}, message: {message:?}, details: [], metadata: MetadataMap {{}}"
        ))
    }

    #[test]
    fn only_what_was_surely_not_sent_counts_as_unreached() {
        let refused = server_error("Unknown", "client error (Connect)");
        assert!(matches!(Failure::from(refused), Failure::Unreached(_)));
        for dead in [
            Error::ConnectionClosed,
            Error::GrpcConnectionError(GrpcConnectionError::Grpc("refused".to_owned())),
        ] {
            assert!(matches!(Failure::from(dead), Failure::DeadClient(_)));
        }
        for open in [
            server_error("Unknown", "client error (SendRequest)"),
            server_error("Unavailable", "the server is shutting down"),
            Error::DeadlineExceeded,
            // What the client makes of HTTP/2's ENHANCE_YOUR_CALM.
            Error::Grpc { code: 8.into(), message: "h2 protocol error: http2 error".to_owned() },
        ] {
            assert!(matches!(Failure::from(open), Failure::Open(_)));
        }
    }

    #[test]
    fn a_status_is_told_in_its_own_words_only() {
        let failure = Failure::from(server_error("Unavailable", "keep-alive timed out"));
        assert_eq!(failure, Failure::Open("keep-alive timed out".to_owned()));
        assert_eq!(Failure::from(Error::ServerError("odd".to_owned())), Failure::Open("odd".to_owned()));
        assert_eq!(
            Failure::from(server_error("DataLoss", "event 7 is damaged")),
            Failure::Damaged("event 7 is damaged".to_owned())
        );
    }

    #[test]
    fn answers_of_the_store_keep_their_meaning() {
        let conflict =
            |current| Error::WrongExpectedVersion { current, expected: ExpectedRevision::NoStream };
        assert_eq!(
            Failure::from(conflict(CurrentRevision::Current(4))),
            Failure::Conflict { current: Some(4) }
        );
        assert_eq!(Failure::from(conflict(CurrentRevision::NoStream)), Failure::Conflict { current: None });
        assert!(matches!(Failure::from(Error::AccessDenied), Failure::Refused(_)));
        assert_eq!(Failure::from(Error::ResourceDeleted), Failure::Deleted);
        let full = Error::Grpc { code: 8.into(), message: "the disk is full".to_owned() };
        assert_eq!(Failure::from(full), Failure::Refused("the disk is full".to_owned()));
        let leader = Endpoint { host: "b".to_owned(), port: 2114 };
        assert_eq!(Failure::from(Error::NotLeaderException(leader)), Failure::Redirected { port: 2114 });
    }
}
