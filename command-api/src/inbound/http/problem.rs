//! The one place that decides what status a failure has.

use super::headers::IDEMPOTENCY_KEY;
use crate::history::HistoryError;
use crate::identity::Key;
use crate::transact::Failure;
use axum::http::{StatusCode, header};
use domain::book::{CorrectError, Edition, RenewError, WarehouseError};
use serde_json::Value;
use service_kit::Problem;

/// How long a client should wait for a sick store, in seconds.
const RETRY_AFTER_SECS: u32 = 1;

/// How long a client should wait for an operator, in seconds.
const OPERATOR_SECS: u32 = 60;

/// A rule's no, as a client sees it.
pub(super) trait Refusal {
    /// Its problem document.
    fn problem(&self) -> Problem;
}

impl Refusal for WarehouseError {
    fn problem(&self) -> Problem {
        match self {
            Self::EditionMismatch { current, .. } => {
                conflict("edition-mismatch", "The book is of another edition", self)
                    .with("currentVersion", number(*current))
            }
            Self::StockLimit { stock, .. } => {
                conflict("stock-limit", "So many copies do not fit", self).with("stock", *stock)
            }
        }
    }
}

impl Refusal for RenewError {
    fn problem(&self) -> Problem {
        match self {
            Self::UnknownBook(_) => book_unknown(self.to_string()),
            Self::EditionNotGreater { current, .. } => {
                conflict("edition-not-greater", "A renewal goes forward", self)
                    .with("currentVersion", number(*current))
            }
            Self::LastEdition(current) => conflict("no-later-edition", "This is the last edition", self)
                .with("currentVersion", number(*current)),
        }
    }
}

impl Refusal for CorrectError {
    fn problem(&self) -> Problem {
        match self {
            Self::UnknownBook(_) => book_unknown(self.to_string()),
            Self::BelowZero { stock, .. } => {
                conflict("stock-below-zero", "So many copies are not there", self).with("stock", *stock)
            }
            Self::StockLimit { stock, .. } => {
                conflict("stock-limit", "So many copies do not fit", self).with("stock", *stock)
            }
        }
    }
}

/// The problem of a command that was not booked, or of which nobody knows.
pub(super) fn of<R: Refusal>(failure: Failure<R>, key: &Key) -> Problem {
    match failure {
        Failure::Refused(refusal) => refusal.problem(),
        Failure::PreconditionFailed(current) => revision_mismatch(current),
        Failure::KeyReused => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The key belongs to another command",
            "Another command for this book was booked with this Idempotency-Key; a new command needs a new one.",
        ),
        Failure::Unreadable(reason) => unreadable(&reason),
        Failure::Unavailable(reason) => unavailable(&reason),
        Failure::Contended => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "book-contended",
            "Too many commands for one book",
            "Others changed the book at each attempt, so this request changed nothing. Send it again.",
        )
        .retry_after(RETRY_AFTER_SECS),
        Failure::OutcomeUnknown(reason) => {
            tracing::warn!(idempotency_key = key.as_str(), %reason, "the outcome of a command is unknown");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "outcome-unknown",
                "The command may be booked or not",
                "The event store did not answer in time. Send the same command again with this Idempotency-Key: it is booked once, however often it is sent.",
            )
            .with("idempotencyKey", key.as_str())
            .header(IDEMPOTENCY_KEY, key.as_str())
            .retry_after(RETRY_AFTER_SECS)
        }
    }
}

fn revision_mismatch(current: Option<u64>) -> Problem {
    let problem = Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "revision-mismatch",
        "The book has changed",
        "Look at the book as it is now, and send the command again with its ETag in If-Match.",
    )
    .with("revision", current);
    match current {
        Some(revision) => problem.header(header::ETAG, &format!("\"{revision}\"")),
        None => problem,
    }
}

/// The problem of a book that could not be read.
pub(super) fn of_reading(error: &HistoryError) -> Problem {
    match error {
        HistoryError::Unavailable(reason) => unavailable(reason),
        HistoryError::Unreadable { .. } => unreadable(&error.to_string()),
    }
}

/// 404: the path names something that is no book and never will be.
pub(super) fn no_such_book() -> Problem {
    book_unknown("The path names no book; a bookId is a whole number from 1 to 9007199254740991.")
}

/// 404: the library has no such book.
pub(super) fn book_unknown(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "book-unknown", "The library has no such book", detail)
}

fn conflict(name: &'static str, title: &'static str, refusal: &dyn std::error::Error) -> Problem {
    Problem::new(StatusCode::CONFLICT, name, title, format!("{refusal}."))
}

fn unreadable(reason: &str) -> Problem {
    tracing::error!(reason, "a book's stream cannot be read");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "stream-unreadable",
        "The book's history cannot be read",
        "An event of this book cannot be understood, so no command can be decided on it. An operator has to look at it; other books are not concerned.",
    )
    .retry_after(OPERATOR_SECS)
}

fn unavailable(reason: &str) -> Problem {
    tracing::warn!(reason, "the event store cannot be used");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "event-store-unavailable",
        "The event store cannot be used",
        "It does not answer, so this request changed nothing. Send it again later.",
    )
    .retry_after(RETRY_AFTER_SECS)
}

fn number(edition: Edition) -> Value {
    serde_json::to_value(edition).unwrap_or_default()
}
