//! What the rules of the domain say of a wrong value, in both languages.

use crate::identity::{MAX_KEY_LENGTH, NotAKey};
use domain::book::{
    BookIdError, BookNameError, EditionError, MAX_REASON_CHARS, MAX_STOCK, QtyDeltaError, QuantityError,
    ReasonError,
};
use service_kit::{Text, text};

/// How much of a client's own word is shown back, in characters.
const MAX_ECHO: usize = 64;

/// A client's own word, or the beginning of it, to be shown back.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(MAX_ECHO).collect()
}

/// Why a text is not the value that it should be.
pub(super) trait Explain {
    /// The reason. `given` is the text, or what can be shown of it.
    fn explain(&self, given: &str) -> Text;
}

impl Explain for NotAKey {
    fn explain(&self, _: &str) -> Text {
        text!(
            en: "a key has 1 to {MAX_KEY_LENGTH} visible ASCII characters, no quote and no backslash among them",
            ko: "키는 따옴표와 역슬래시를 뺀 보이는 ASCII 문자 1~{MAX_KEY_LENGTH}자입니다"
        )
    }
}

impl Explain for BookIdError {
    fn explain(&self, given: &str) -> Text {
        text!(
            en: "a bookId is a whole number from 1 to 9007199254740991, not {given}",
            ko: "bookId 는 1부터 9007199254740991까지의 정수입니다(받은 값: {given})"
        )
    }
}

impl Explain for QuantityError {
    fn explain(&self, given: &str) -> Text {
        text!(
            en: "a qty is a whole number from 1 to 1000000, not {given}",
            ko: "수량은 1부터 1000000까지의 정수입니다(받은 값: {given})"
        )
    }
}

impl Explain for QtyDeltaError {
    fn explain(&self, given: &str) -> Text {
        text!(
            en: "a qtyDelta is a whole number from -{MAX_STOCK} to {MAX_STOCK} other than 0; given was {given}",
            ko: "정정할 수량은 -{MAX_STOCK}부터 {MAX_STOCK}까지의 정수이며 0은 안 됩니다(받은 값: {given})"
        )
    }
}

impl Explain for EditionError {
    fn explain(&self, given: &str) -> Text {
        text!(
            en: "a version is a decimal from 0.01 to 1000000 with at most two places, such as 2.0, not {given}",
            ko: "판은 0.01부터 1000000까지, 소수점 아래 두 자리까지의 수입니다. 예: 2.0 (받은 값: {given})"
        )
    }
}

impl Explain for BookNameError {
    fn explain(&self, _: &str) -> Text {
        match self {
            Self::Empty => text!(
                en: "a name is not empty; leave the field out if there is none",
                ko: "도서 이름은 비울 수 없습니다. 이름이 없으면 필드를 빼십시오"
            ),
            Self::TooLong(chars) => text!(
                en: "a name has at most 500 characters, not {chars}",
                ko: "도서 이름은 500자까지입니다(받은 길이: {chars}자)"
            ),
            Self::ControlCharacter => text!(
                en: "a name has no control characters, such as line breaks",
                ko: "도서 이름에는 줄바꿈 같은 제어 문자를 쓸 수 없습니다"
            ),
        }
    }
}

impl Explain for ReasonError {
    fn explain(&self, _: &str) -> Text {
        match self {
            Self::Empty => text!(
                en: "a reason is not empty; say in a few words why",
                ko: "정정 사유는 비울 수 없습니다. 사유를 짧게 적으십시오"
            ),
            Self::TooLong(chars) => text!(
                en: "a reason has at most {MAX_REASON_CHARS} characters, not {chars}",
                ko: "정정 사유는 {MAX_REASON_CHARS}자까지입니다(받은 길이: {chars}자)"
            ),
            Self::ControlCharacter => text!(
                en: "a reason has no control characters, such as line breaks",
                ko: "정정 사유에는 줄바꿈 같은 제어 문자를 쓸 수 없습니다"
            ),
        }
    }
}
