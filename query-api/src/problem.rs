//! The one place that decides what status a failure has.

use crate::headers::POSITION;
use axum::http::{StatusCode, header};
use read_model::ReaderError;
use service_kit::Problem;

/// How long a client should wait for a sick database or a projection that is behind, in seconds.
const RETRY_AFTER_SECS: u32 = 1;

/// 400: a parameter of the query string is unknown, doubled, or has a value that it cannot have.
pub(crate) fn invalid_parameter(name: &str, reason: impl std::fmt::Display) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid-parameter",
        "A parameter is not acceptable",
        format!("{name}: {reason}."),
    )
    .with("parameter", name)
}

/// 404: the path names something that is no book and never will be.
pub(crate) fn no_such_book() -> Problem {
    book_unknown("The path names no book; a bookId is a whole number from 1 to 9007199254740991.".to_owned())
}

/// 404: at `position` the library had no such book. It may have one by now, so nobody should remember this answer.
pub(crate) fn no_book_yet(book: impl std::fmt::Display, position: u64) -> Problem {
    book_unknown(format!(
        "No copy of book {book} had come in at position {position}. If it was warehoused later, ask with minPosition."
    ))
    .header(POSITION, &position.to_string())
    .header(header::CACHE_CONTROL, "no-cache")
}

/// 503: the read models are at `position`, and that is not far enough.
pub(crate) fn behind(wanted: u64, position: u64) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "projection-behind",
        "The read models are not that far yet",
        format!("They are at position {position}, before {wanted}. Ask again, or with a longer wait."),
    )
    .with("position", position.to_string())
    .header(POSITION, &position.to_string())
    .retry_after(RETRY_AFTER_SECS)
}

/// What a client sees of a query that failed. The cause goes to the log: it may name hosts and users.
pub(crate) fn of_reading(error: &ReaderError) -> Problem {
    match error {
        ReaderError::Unavailable(_) | ReaderError::NotSetUp(_) => {
            tracing::warn!(%error, "a query was not answered");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "read-model-unavailable",
                "The read models cannot be reached",
                "The database of the read models does not answer, or is not set up yet. Ask again later.",
            )
            .retry_after(RETRY_AFTER_SECS)
        }
        ReaderError::Unreadable(_) => Problem::internal(error),
    }
}

fn book_unknown(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "book-unknown", "The library has no such book", detail)
}
