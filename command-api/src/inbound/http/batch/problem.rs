//! What can be wrong with a list, or with a row as a part of it.

use axum::http::StatusCode;
use service_kit::body::BODY_TOO_SLOW;
use service_kit::problem::{INTERNAL, INVALID, Kind, MALFORMED};
use service_kit::{Problem, Text, text};

/// What a list may be answered with as a whole.
pub(super) static OF_LISTS: [&Kind; 6] =
    [&TOO_LARGE, &NO_LIST, &ROWS_REFUSED, &TOO_MANY_ROWS, &TOO_MANY_LISTS, &STOPPING];

/// What a line of the answer may tell, besides what a command may be answered with: of a row, or why no further row is read.
pub(super) static OF_LINES: [&Kind; 10] = [
    &ROW_TOO_LONG,
    &TOO_MANY_ROWS_OF_A_BOOK,
    &HELD_BACK,
    &STOPPING,
    &MALFORMED,
    &INVALID,
    &INTERNAL,
    &TOO_LARGE,
    &TOO_MANY_ROWS,
    &BODY_TOO_SLOW,
];

/// A row is longer than a row may be.
static ROW_TOO_LONG: Kind = Kind::new(
    StatusCode::PAYLOAD_TOO_LARGE,
    "row-too-long",
    Text::fixed("The row is too long", "줄이 너무 깁니다"),
);

/// The list has more rows than one may have.
static TOO_MANY_ROWS: Kind = Kind::new(
    StatusCode::PAYLOAD_TOO_LARGE,
    "too-many-rows",
    Text::fixed("The list has too many rows", "목록의 줄이 너무 많습니다"),
);

/// The list has more bytes than one may have.
static TOO_LARGE: Kind = Kind::new(
    StatusCode::PAYLOAD_TOO_LARGE,
    "body-too-large",
    Text::fixed("The body is too large", "본문이 너무 큽니다"),
);

/// The body is in no form that a list comes in.
static NO_LIST: Kind = Kind::new(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "unsupported-media-type",
    Text::fixed("The body is no list", "본문이 목록이 아닙니다"),
);

/// Rows of the list are bad, so that none is booked.
pub(super) static ROWS_REFUSED: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "rows-refused",
    Text::fixed("Rows of the list are bad", "목록에 잘못된 줄이 있습니다"),
);

/// The row could not be sent again safely.
static TOO_MANY_ROWS_OF_A_BOOK: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "too-many-rows-of-a-book",
    Text::fixed("The book has too many rows", "한 도서의 줄이 너무 많습니다"),
);

/// A row before it may still be booked.
static HELD_BACK: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "row-held-back",
    Text::fixed("An earlier row of the book is open", "같은 도서의 앞줄이 아직 끝나지 않았습니다"),
);

/// The service stops, and tries no further row.
static STOPPING: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "service-stopping",
    Text::fixed("The service is stopping", "서비스가 멈추고 있습니다"),
);

/// As many lists are being booked as may be at once.
static TOO_MANY_LISTS: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "too-many-lists",
    Text::fixed("Other lists are being booked", "다른 목록을 입고하고 있습니다"),
);

pub(super) fn row_too_long(most: usize) -> Problem {
    ROW_TOO_LONG.because(text!(en: "A row has at most {most} bytes.", ko: "한 줄은 {most}바이트까지입니다."))
}

pub(super) fn too_many_rows(most: u64) -> Problem {
    TOO_MANY_ROWS.because(text!(
        en: "A list has at most {most} rows; send the rest as another one.",
        ko: "목록은 {most}줄까지입니다. 나머지는 다른 목록으로 보내십시오."
    ))
}

pub(super) fn too_large(most: u64) -> Problem {
    TOO_LARGE.because(text!(
        en: "A list has at most {most} bytes; send the rest as another one.",
        ko: "목록은 {most}바이트까지입니다. 나머지는 다른 목록으로 보내십시오."
    ))
}

pub(super) fn too_slow(silence_secs: u64, bytes_per_sec: u64, longest_mins: u64) -> Problem {
    BODY_TOO_SLOW.because(text!(
        en: "Nothing came for {silence_secs} s, or less than {bytes_per_sec} bytes a second, or not all in {longest_mins} minutes, so the rest of the list is not waited for.",
        ko: "{silence_secs}초 동안 아무것도 오지 않았거나, 1초에 {bytes_per_sec}바이트보다 느리거나, {longest_mins}분 안에 다 오지 않아 목록의 나머지를 기다리지 않습니다."
    ))
}

pub(super) fn no_list() -> Problem {
    NO_LIST.because(text!(
        en: "Send the list as application/json (an array), application/x-ndjson or text/csv, and say so in Content-Type.",
        ko: "목록을 application/json(배열), application/x-ndjson, text/csv 중 하나로 보내고 Content-Type 에 밝히십시오."
    ))
}

pub(super) fn rows_refused() -> Problem {
    ROWS_REFUSED.because(text!(
        en: "None of the rows is booked. Put the bad ones right, and send the list again.",
        ko: "한 줄도 입고하지 않았습니다. 잘못된 줄을 고쳐 목록을 다시 보내십시오."
    ))
}

pub(super) fn too_many_rows_of_a_book(most: u64) -> Problem {
    TOO_MANY_ROWS_OF_A_BOOK.because(text!(
        en: "As rows come, at most {most} rows of one book can be sent again safely. Send the list with ?atomic=check, or the rest as another one.",
        ko: "오는 대로 입고할 때 안전하게 다시 보낼 수 있는 한 도서의 줄은 {most}줄까지입니다. ?atomic=check 로 보내거나 나머지를 다른 목록으로 보내십시오."
    ))
}

pub(super) fn held_back() -> Problem {
    HELD_BACK
        .because(text!(
            en: "An earlier row of this book is to be sent again, and this row must not overtake it, so it was not tried. Send both again, with their keys.",
            ko: "같은 도서의 앞줄을 다시 보내야 하고 이 줄이 앞지르면 안 되므로 시도하지 않았습니다. 두 줄을 각각의 키로 다시 보내십시오."
        ))
        .retry_after(1)
}

pub(super) fn row_not_tried() -> Problem {
    STOPPING
        .because(text!(
            en: "This row was not tried, nor was any that has no result. Send them again, with their keys.",
            ko: "이 줄과 결과가 없는 줄은 시도하지 않았습니다. 각각의 키로 다시 보내십시오."
        ))
        .retry_after(1)
}

pub(super) fn list_not_tried() -> Problem {
    STOPPING
        .because(text!(
            en: "No row of the list was tried. Send it again.",
            ko: "목록의 어느 줄도 시도하지 않았습니다. 다시 보내십시오."
        ))
        .retry_after(1)
}

pub(super) fn too_many_lists(most: usize) -> Problem {
    TOO_MANY_LISTS
        .because(text!(
            en: "At most {most} lists are booked at once. Nothing of this one is booked; send it again later.",
            ko: "한 번에 {most}개의 목록까지 입고합니다. 이 목록은 하나도 입고하지 않았으니 나중에 다시 보내십시오."
        ))
        .retry_after(1)
}

pub(super) fn ended_early() -> Problem {
    malformed(
        "The list ended before it was complete; send it again.",
        "목록이 끝나기 전에 끊겼습니다. 다시 보내십시오.",
    )
}

/// 400, in words that are always the same.
pub(super) fn malformed(en: &'static str, ko: &'static str) -> Problem {
    MALFORMED.because(Text::fixed(en, ko))
}
