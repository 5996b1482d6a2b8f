//! The one place that decides what status a failure has.

use crate::headers::POSITION;
use axum::http::{StatusCode, header};
use read_model::ReaderError;
use service_kit::problem::Kind;
use service_kit::{Problem, Text, text};

/// How long a client should wait for a sick database or a projection that is behind, in seconds.
const RETRY_AFTER_SECS: u32 = 1;

/// The same for a book that waits for an operator.
const RETRY_PARKED_AFTER_SECS: u32 = 30;

/// A parameter is unknown, doubled, or has a value that it cannot have.
pub(crate) static INVALID_PARAMETER: Kind = Kind::new(
    StatusCode::BAD_REQUEST,
    "invalid-parameter",
    Text::fixed("A parameter is not acceptable", "받을 수 없는 매개변수가 있습니다"),
);

/// The library has no such book.
pub(crate) static BOOK_UNKNOWN: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "book-unknown",
    Text::fixed("The library has no such book", "없는 도서입니다"),
);

/// The read models have not come as far as was asked for.
pub(crate) static PROJECTION_BEHIND: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "projection-behind",
    Text::fixed("The read models are not that far yet", "조회 모델이 아직 거기까지 반영되지 않았습니다"),
);

/// The book's stream waits at an event that could not be applied.
pub(crate) static STREAM_PARKED: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "stream-parked",
    Text::fixed("The book waits for an operator", "운영자의 조치를 기다리는 도서입니다"),
);

/// The database of the read models does not answer.
pub(crate) static READ_MODEL_UNAVAILABLE: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "read-model-unavailable",
    Text::fixed("The read models cannot be reached", "조회 모델을 쓸 수 없습니다"),
);

/// 400: a parameter of the query string is unknown, doubled, or has a value that it cannot have.
pub(crate) fn invalid_parameter(name: &str, reason: &Text) -> Problem {
    let Text { en, ko } = reason;
    INVALID_PARAMETER.because(text!(en: "{name}: {en}.", ko: "{name}: {ko}.")).with("parameter", name)
}

/// 404: the path names something that is no book and never will be.
pub(crate) fn no_such_book() -> Problem {
    BOOK_UNKNOWN.because(text!(
        en: "The path names no book; a bookId is a whole number from 1 to 9007199254740991.",
        ko: "경로가 가리키는 도서가 없습니다. bookId 는 1부터 9007199254740991까지의 정수입니다."
    ))
}

/// 404: at `position` the library had no such book. It may have one by now, so nobody should remember this answer.
pub(crate) fn no_book_yet(book: impl std::fmt::Display, position: u64) -> Problem {
    BOOK_UNKNOWN
        .because(text!(
            en: "No copy of book {book} had come in at position {position}. If it was warehoused later, ask with minPosition.",
            ko: "{book}번 도서는 위치 {position}까지 입고된 적이 없습니다. 그 뒤에 입고했다면 minPosition 을 붙여 조회하십시오."
        ))
        .header(POSITION, &position.to_string())
        .header(header::CACHE_CONTROL, "no-cache")
}

/// 404: the library had no such book at the moment `then`, by all that the read models know at `position`.
pub(crate) fn no_book_then(
    book: impl std::fmt::Display,
    then: impl std::fmt::Display,
    position: u64,
) -> Problem {
    BOOK_UNKNOWN
        .because(text!(
            en: "No copy of book {book} had come in at {then}.",
            ko: "{book}번 도서는 {then} 시점까지 입고된 적이 없습니다."
        ))
        .header(POSITION, &position.to_string())
        .header(header::CACHE_CONTROL, "no-cache")
}

/// 400: the time that is asked about has not come.
pub(crate) fn not_yet(time: impl std::fmt::Display) -> Problem {
    invalid_parameter(
        "asOf",
        &text!(
            en: "{time} has not come yet, and what the books will be nobody knows",
            ko: "{time} 은(는) 아직 오지 않은 시각이라 그때의 재고를 알 수 없습니다"
        ),
    )
}

/// 503: the read models are at `position`, and that is not far enough.
pub(crate) fn behind(wanted: u64, position: u64) -> Problem {
    PROJECTION_BEHIND
        .because(text!(
            en: "They are at position {position}, before {wanted}. Ask again, or with a longer wait.",
            ko: "지금 위치는 {position}이고, 요청한 위치 {wanted}보다 앞입니다. 다시 조회하거나 wait 을 늘리십시오."
        ))
        .with("position", position.to_string())
        .header(POSITION, &position.to_string())
        .retry_after(RETRY_AFTER_SECS)
}

/// 503: the stream of `book` waits at the event at position `waits_at`, while the read models are at `position`.
pub(crate) fn parked(book: impl std::fmt::Display, waits_at: u64, position: u64) -> Problem {
    STREAM_PARKED
        .because(text!(
            en: "Its event at position {waits_at} could not be applied, so book {book} is shown as it was before. An operator has to retry or skip that event; without minPosition the book as it was is answered.",
            ko: "위치 {waits_at}의 이벤트를 반영하지 못해 {book}번 도서는 그 앞의 상태로 보입니다. 운영자가 그 이벤트를 다시 시도하거나 건너뛰어야 합니다. minPosition 없이 조회하면 그 앞의 상태로 답합니다."
        ))
        .with("parkedAt", waits_at.to_string())
        .header(POSITION, &position.to_string())
        .retry_after(RETRY_PARKED_AFTER_SECS)
}

/// 503: the database is out, and what is in memory is of `position`, which is not far enough.
pub(crate) fn out(position: u64) -> Problem {
    READ_MODEL_UNAVAILABLE
        .because(text!(
            en: "The database of the read models does not answer, and memory is at position {position}. Ask again later.",
            ko: "조회 모델의 데이터베이스가 답하지 않고, 메모리의 위치는 {position}입니다. 잠시 뒤에 다시 조회하십시오."
        ))
        .with("position", position.to_string())
        .header(POSITION, &position.to_string())
        .retry_after(RETRY_AFTER_SECS)
}

/// 503: the read models were not read yet, so that nobody can be told of their changes.
pub(crate) fn not_read_yet() -> Problem {
    READ_MODEL_UNAVAILABLE
        .because(text!(
            en: "The read models have not been read yet. Ask again later.",
            ko: "조회 모델을 아직 읽지 못했습니다. 잠시 뒤에 다시 조회하십시오."
        ))
        .retry_after(RETRY_AFTER_SECS)
}

/// What a client sees of a query that failed. The cause goes to the log: it may name hosts and users.
pub(crate) fn of_reading(error: &ReaderError) -> Problem {
    match error {
        ReaderError::Unavailable(_) | ReaderError::NotSetUp(_) => {
            tracing::warn!(%error, "a query was not answered");
            READ_MODEL_UNAVAILABLE
                .because(text!(
                    en: "The database of the read models does not answer, or is not set up yet. Ask again later.",
                    ko: "조회 모델의 데이터베이스가 답하지 않거나 아직 준비되지 않았습니다. 잠시 뒤에 다시 조회하십시오."
                ))
                .retry_after(RETRY_AFTER_SECS)
        }
        ReaderError::OtherVersion { .. } => {
            tracing::error!(%error, "a query was not answered");
            READ_MODEL_UNAVAILABLE
                .because(text!(
                    en: "The read models were made by another version of this program and do not hold this. `replay rebuild` makes them anew.",
                    ko: "조회 모델을 다른 버전의 프로그램이 만들어 이 내용이 없습니다. `replay rebuild` 로 다시 만들어야 합니다."
                ))
                .retry_after(RETRY_AFTER_SECS)
        }
        ReaderError::Unreadable(_) => Problem::internal(error),
    }
}
