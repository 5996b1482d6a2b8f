//! The one place that decides what status a failure has.

use super::headers::IDEMPOTENCY_KEY;
use crate::history::HistoryError;
use crate::identity::Key;
use crate::intention::Precondition;
use crate::transact::Failure;
use axum::http::{StatusCode, header};
use domain::book::{BookId, CorrectError, Edition, MAX_STOCK, RenewError, WarehouseError};
use serde_json::Value;
use service_kit::problem::Kind;
use service_kit::{Problem, Text, text};

/// How long a client should wait for a sick store, in seconds.
const RETRY_AFTER_SECS: u32 = 1;

/// How long a client should wait for an operator, in seconds.
const OPERATOR_SECS: u32 = 60;

/// The library has no such book.
pub(super) static BOOK_UNKNOWN: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "book-unknown",
    Text::fixed("The library has no such book", "없는 도서입니다"),
);

/// The command is for another edition than the library holds.
pub(super) static EDITION_MISMATCH: Kind = Kind::new(
    StatusCode::CONFLICT,
    "edition-mismatch",
    Text::fixed("The book is of another edition", "판이 다른 도서입니다"),
);

/// The library would hold more copies than it can.
pub(super) static STOCK_LIMIT: Kind = Kind::new(
    StatusCode::CONFLICT,
    "stock-limit",
    Text::fixed("So many copies do not fit", "재고 한도를 넘습니다"),
);

/// The library would hold fewer copies than none.
pub(super) static STOCK_BELOW_ZERO: Kind = Kind::new(
    StatusCode::CONFLICT,
    "stock-below-zero",
    Text::fixed("So many copies are not there", "재고가 그만큼 없습니다"),
);

/// The new edition would not come after the current one.
pub(super) static EDITION_NOT_GREATER: Kind = Kind::new(
    StatusCode::CONFLICT,
    "edition-not-greater",
    Text::fixed("A renewal goes forward", "재판은 지금보다 높은 판이어야 합니다"),
);

/// There is no edition after the current one.
pub(super) static NO_LATER_EDITION: Kind = Kind::new(
    StatusCode::CONFLICT,
    "no-later-edition",
    Text::fixed("This is the last edition", "마지막 판입니다"),
);

/// The book is not as `If-Match` or `If-None-Match` says.
pub(super) static REVISION_MISMATCH: Kind = Kind::new(
    StatusCode::PRECONDITION_FAILED,
    "revision-mismatch",
    Text::fixed("The book is not as the condition says", "도서가 조건과 다릅니다"),
)
.carrying(&[("ETag", "The revision that the book is at now, if there is such a book.")]);

/// The key was used for another command.
pub(super) static KEY_REUSED: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "idempotency-key-reused",
    Text::fixed("The key belongs to another command", "다른 커맨드에 쓴 키입니다"),
);

/// Others kept changing the book.
pub(super) static BOOK_CONTENDED: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "book-contended",
    Text::fixed("Too many commands for one book", "한 도서에 커맨드가 몰려 있습니다"),
);

/// Nobody knows whether the command is booked.
pub(super) static OUTCOME_UNKNOWN: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "outcome-unknown",
    Text::fixed("The command may be booked or not", "기록되었는지 알 수 없습니다"),
)
.carrying(&[("Idempotency-Key", "The key to send the same command again with.")]);

/// The stream of the book is deleted for ever.
pub(super) static BOOK_DELETED: Kind = Kind::new(
    StatusCode::GONE,
    "book-deleted",
    Text::fixed("The book's history is deleted for ever", "도서의 기록이 영구히 삭제되었습니다"),
);

/// An event of the book cannot be read.
pub(super) static STREAM_UNREADABLE: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "stream-unreadable",
    Text::fixed("The book's history cannot be read", "도서의 기록을 읽을 수 없습니다"),
);

/// The event store does not answer in time, or turns down what is asked of it.
pub(super) static STORE_UNAVAILABLE: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "event-store-unavailable",
    Text::fixed("The event store cannot be used", "이벤트 저장소를 쓸 수 없습니다"),
);

/// A rule's no, as a client sees it.
pub(super) trait Refusal {
    /// Its problem document.
    fn problem(&self) -> Problem;
}

impl Refusal for WarehouseError {
    fn problem(&self) -> Problem {
        match self {
            Self::EditionMismatch { current, given } => EDITION_MISMATCH
                .because(text!(
                    en: "The current edition is {current}, not {given}; leave the version out, or renew the book first.",
                    ko: "지금 판은 {current}이고, 요청한 판은 {given}입니다. version 을 빼거나 먼저 재판하십시오."
                ))
                .with("currentVersion", number(*current)),
            Self::StockLimit { stock, qty } => STOCK_LIMIT
                .because(text!(
                    en: "{stock} copies are in stock and {MAX_STOCK} is the most; {qty} more do not fit.",
                    ko: "재고가 {stock}권이고 한도는 {MAX_STOCK}권이라 {qty}권을 더 받을 수 없습니다."
                ))
                .with("stock", *stock),
        }
    }
}

impl Refusal for RenewError {
    fn problem(&self) -> Problem {
        match self {
            Self::UnknownBook(book) => nothing_came_in(*book),
            Self::EditionNotGreater { current, given } => EDITION_NOT_GREATER
                .because(text!(
                    en: "The current edition is {current}; a renewal needs a greater one than that, not {given}.",
                    ko: "지금 판은 {current}입니다. 재판하려면 그보다 높은 판이어야 하는데 {given} 판을 요청했습니다."
                ))
                .with("currentVersion", number(*current)),
            Self::LastEdition(current) => NO_LATER_EDITION
                .because(text!(
                    en: "No edition comes after {current}.",
                    ko: "{current} 다음에 올 수 있는 판이 없습니다."
                ))
                .with("currentVersion", number(*current)),
        }
    }
}

impl Refusal for CorrectError {
    fn problem(&self) -> Problem {
        match self {
            Self::UnknownBook(book) => nothing_came_in(*book),
            Self::BelowZero { stock, qty_delta } => STOCK_BELOW_ZERO
                .because(text!(
                    en: "{stock} copies are in stock; a correction by {qty_delta} would leave less than none.",
                    ko: "재고가 {stock}권이라 {qty_delta}권만큼 정정하면 0권보다 적어집니다."
                ))
                .with("stock", *stock),
            Self::StockLimit { stock, qty_delta } => STOCK_LIMIT
                .because(text!(
                    en: "{stock} copies are in stock and {MAX_STOCK} is the most; {qty_delta} more do not fit.",
                    ko: "재고가 {stock}권이고 한도는 {MAX_STOCK}권이라 {qty_delta}권을 더할 수 없습니다."
                ))
                .with("stock", *stock),
        }
    }
}

/// The problem of a command that was not booked, or of which nobody knows.
pub(super) fn of<R: Refusal>(failure: Failure<R>, key: &Key) -> Problem {
    match failure {
        Failure::Refused(refusal) => refusal.problem(),
        Failure::PreconditionFailed(condition, current) => revision_mismatch(condition, current),
        Failure::KeyReused => KEY_REUSED.because(text!(
            en: "Another command for this book was booked with this Idempotency-Key; a new command needs a new one.",
            ko: "이 Idempotency-Key 로 이 도서에 다른 커맨드가 이미 기록되었습니다. 새 커맨드에는 새 키를 쓰십시오."
        )),
        Failure::Deleted => deleted(),
        Failure::Unreadable(reason) => unreadable(&reason),
        Failure::Unavailable(reason) => unavailable(&reason),
        Failure::StoreRefused(reason) => refused_by_the_store(&reason),
        Failure::Contended => BOOK_CONTENDED
            .because(text!(
                en: "Others changed the book at each attempt, so this request changed nothing. Send it again.",
                ko: "시도할 때마다 다른 커맨드가 먼저 기록되어 이 요청은 아무것도 바꾸지 않았습니다. 다시 보내십시오."
            ))
            .retry_after(RETRY_AFTER_SECS),
        Failure::OutcomeUnknown(reason) => {
            tracing::warn!(idempotency_key = key.as_str(), %reason, "the outcome of a command is unknown");
            OUTCOME_UNKNOWN
                .because(text!(
                    en: "The event store did not answer in time. Send the same command again with this Idempotency-Key: it is booked once, however often it is sent.",
                    ko: "이벤트 저장소가 제때 답하지 않았습니다. 같은 커맨드를 이 Idempotency-Key 로 다시 보내십시오. 몇 번을 보내도 한 번만 기록됩니다."
                ))
                .with("idempotencyKey", key.as_str())
                .header(IDEMPOTENCY_KEY, key.as_str())
                .retry_after(RETRY_AFTER_SECS)
        }
    }
}

fn revision_mismatch(condition: Precondition, current: Option<u64>) -> Problem {
    let detail = match (condition, current) {
        (Precondition::Absent, Some(current)) => text!(
            en: "The book exists already, at revision {current}, and If-None-Match says that it does not.",
            ko: "이미 있는 도서입니다(리비전 {current}). If-None-Match 는 없는 도서여야 한다고 합니다."
        ),
        (Precondition::NotAt(_), Some(current)) => text!(
            en: "The book is at revision {current}, and If-None-Match says that it is not.",
            ko: "도서의 리비전이 {current}인데, If-None-Match 는 그 리비전이 아니어야 한다고 합니다."
        ),
        (_, None) => text!(
            en: "There is no such book, and the condition says that there is. Leave it out to warehouse the first copies.",
            ko: "없는 도서인데, 조건은 있는 도서여야 한다고 합니다. 처음 입고하려면 조건을 빼십시오."
        ),
        (_, Some(current)) => text!(
            en: "The book has changed: it is at revision {current} now. Look at it, and send the command again for the revision that you find.",
            ko: "그 사이에 도서가 바뀌어 지금 리비전은 {current}입니다. 다시 조회한 뒤, 그 리비전을 조건으로 커맨드를 다시 보내십시오."
        ),
    };
    let problem = REVISION_MISMATCH.because(detail).with("revision", current);
    match current {
        Some(revision) => problem.header(header::ETAG, &format!("\"{revision}\"")),
        None => problem,
    }
}

/// The problem of a book that could not be read.
pub(super) fn of_reading(error: &HistoryError) -> Problem {
    match error {
        HistoryError::Unavailable(reason) => unavailable(reason),
        HistoryError::Refused(reason) => refused_by_the_store(reason),
        HistoryError::Deleted => deleted(),
        HistoryError::Unreadable { .. } => unreadable(&error.to_string()),
    }
}

/// 422: the field `name` is needed.
pub(super) fn missing(name: &str) -> Problem {
    invalid(name, &text!(en: "it is missing", ko: "값이 없습니다"))
}

/// 422: what is in the field `name` is not acceptable, for this reason.
pub(super) fn invalid(name: &str, reason: &Text) -> Problem {
    let Text { en, ko } = reason;
    Problem::invalid(text!(en: "{name}: {en}.", ko: "{name}: {ko}.")).with("field", name)
}

/// 404: the path names something that is no book and never will be.
pub(super) fn no_such_book() -> Problem {
    BOOK_UNKNOWN.because(text!(
        en: "The path names no book; a bookId is a whole number from 1 to 9007199254740991.",
        ko: "경로가 가리키는 도서가 없습니다. bookId 는 1부터 9007199254740991까지의 정수입니다."
    ))
}

/// 404: the library has no such book yet.
pub(super) fn nothing_came_in(book: BookId) -> Problem {
    BOOK_UNKNOWN.because(text!(
        en: "No copy of book {book} ever came in; warehouse it first.",
        ko: "{book}번 도서는 입고된 적이 없습니다. 먼저 입고하십시오."
    ))
}

/// Nobody has to come back for it: only a backup brings the book back. The command may be one that was booked before.
fn deleted() -> Problem {
    BOOK_DELETED.because(text!(
        en: "The book's history was deleted for ever in the event store. The book can neither be looked at here nor changed any more, and whether a command was booked before can no longer be told. Use another bookId, or ask an operator to restore the store from a backup.",
        ko: "이벤트 저장소에서 이 도서의 기록이 영구히 삭제되었습니다. 여기서는 더 이상 조회하거나 바꿀 수 없으며, 커맨드가 그 전에 기록되었는지도 알 수 없습니다. 다른 bookId 를 쓰거나, 백업에서 저장소를 복구하도록 운영자에게 요청하십시오."
    ))
}

fn unreadable(reason: &str) -> Problem {
    tracing::error!(reason, "a book's stream cannot be read");
    STREAM_UNREADABLE
        .because(text!(
            en: "An event of this book cannot be understood, so no command can be decided on it. An operator has to look at it; other books are not concerned.",
            ko: "이 도서의 이벤트 하나를 해석할 수 없어 커맨드를 처리할 수 없습니다. 운영자가 확인해야 하며, 다른 도서에는 영향이 없습니다."
        ))
        .retry_after(OPERATOR_SECS)
}

fn unavailable(reason: &str) -> Problem {
    tracing::warn!(reason, "the event store cannot be used");
    STORE_UNAVAILABLE
        .because(text!(
            en: "It does not answer, or more is asked of it than it answers in time, so this request changed nothing. Send it again later.",
            ko: "이벤트 저장소가 답하지 않거나, 제때 답할 수 있는 것보다 많은 요청이 몰려 이 요청은 아무것도 바꾸지 않았습니다. 잠시 뒤에 다시 보내십시오."
        ))
        .retry_after(RETRY_AFTER_SECS)
}

/// The log says what the store said; it need not be for everybody.
fn refused_by_the_store(reason: &str) -> Problem {
    tracing::error!(reason, "the event store turns down what is asked of it");
    STORE_UNAVAILABLE
        .because(text!(
            en: "It answers, but turns this down, so this request changed nothing. An operator has to look at it; its disk may be full, or access to it denied.",
            ko: "이벤트 저장소가 답은 하지만 이것을 받아들이지 않아 이 요청은 아무것도 바꾸지 않았습니다. 디스크가 가득 찼거나 접근이 거부되었을 수 있으니 운영자가 확인해야 합니다."
        ))
        .retry_after(RETRY_AFTER_SECS)
}

fn number(edition: Edition) -> Value {
    serde_json::to_value(edition).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_store::ReadError;
    use service_kit::Language::{English, Korean};

    fn told(failure: Failure<WarehouseError>) -> Problem {
        of(failure, &Key::made_here())
    }

    #[test]
    fn a_store_that_turns_something_down_is_not_said_to_be_silent() {
        let silent = told(Failure::Unavailable("no answer".to_owned()));
        assert!(silent.detail().get(English).contains("does not answer"));
        let refused = HistoryError::from(ReadError::Refused("access denied".to_owned()));
        for problem in [
            told(Failure::StoreRefused("the disk is full".to_owned())),
            told((&refused).into()),
            of_reading(&refused),
        ] {
            assert_eq!((problem.status().as_u16(), problem.name()), (503, "event-store-unavailable"));
            let detail = problem.detail();
            assert!(detail.get(English).contains("turns this down"), "{detail:?}");
            assert!(!detail.get(Korean).contains("답하지 않아"), "{detail:?}");
        }
    }

    #[test]
    fn of_a_store_of_which_too_much_is_asked_it_is_not_only_said_that_it_is_silent() {
        let detail = told(Failure::Unavailable("too many calls wait for it".to_owned())).detail().clone();
        assert!(detail.get(English).contains("more is asked of it than it answers in time"), "{detail:?}");
        assert!(detail.get(Korean).contains("많은 요청이 몰려"), "{detail:?}");
    }

    #[test]
    fn nobody_is_told_to_come_back_for_a_book_that_is_deleted_for_ever() {
        let deleted = HistoryError::from(ReadError::Deleted);
        for problem in [told(Failure::Deleted), told((&deleted).into()), of_reading(&deleted)] {
            assert_eq!((problem.status().as_u16(), problem.name()), (410, "book-deleted"));
            assert!(problem.headers().is_empty(), "{:?}", problem.headers());
        }
    }

    #[test]
    fn a_condition_is_told_in_words_that_fit_every_way_in() {
        for current in [None, Some(7)] {
            let problem = told(Failure::PreconditionFailed(Precondition::At(3), current));
            assert_eq!(problem.name(), "revision-mismatch");
            let detail = problem.detail();
            // A call brings it as a field of its message.
            assert!(!detail.get(English).contains("If-Match") && !detail.get(Korean).contains("If-Match"));
        }
    }
}
