//! `cursor`: where a walk through a list is, as a token that clients hand back as they got it.

use crate::problem;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use read_model::{Column, Key, Mark};
use service_kit::{Problem, text};

/// The token of a mark: the letter of its column, the book's id, and the value, as Base64.
pub(super) fn write(mark: &Mark) -> String {
    let book = mark.book_id.get();
    let plain = match &mark.key {
        Key::BookId => format!("i{book}"),
        Key::Name(None) => format!("n{book}"),
        Key::Name(Some(name)) => format!("n{book} {}", name.as_str()),
        Key::Version(version) => format!("v{book} {version}"),
        Key::Stock(stock) => format!("s{book} {stock}"),
        Key::Position(position) => format!("p{book} {position}"),
    };
    URL_SAFE_NO_PAD.encode(plain)
}

/// The mark of a token, which has to be of a list that is sorted by `column`.
pub(super) fn read(token: &str, column: Column) -> Result<Mark, Problem> {
    parse(token).filter(|mark| mark.column() == column).ok_or_else(of_another_list)
}

/// 400: the token is of another list, or of none.
pub(super) fn of_another_list() -> Problem {
    let reason = text!(
        en: "it is not one that a list in this order gave; begin with an empty one",
        ko: "이 순서의 목록에서 받은 커서가 아닙니다. 빈 커서로 처음부터 시작하십시오"
    );
    problem::invalid_parameter("cursor", &reason)
}

fn parse(token: &str) -> Option<Mark> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (letter, rest) = plain.split_at_checked(1)?;
    let (book, value) = match rest.split_once(' ') {
        Some((book, value)) => (book, Some(value)),
        None => (rest, None),
    };
    let book_id = book.parse::<u64>().ok()?.try_into().ok()?;
    let key = match (letter, value) {
        ("i", None) => Key::BookId,
        ("n", None) => Key::Name(None),
        ("n", Some(name)) => Key::Name(Some(name.parse().ok()?)),
        ("v", Some(version)) => Key::Version(version.parse().ok()?),
        ("s", Some(stock)) => Key::Stock(stock.parse().ok()?),
        ("p", Some(position)) => Key::Position(position.parse().ok()?),
        _ => return None,
    };
    Some(Mark { key, book_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_mark_in_lists_of_its_own_order_only() {
        let keys = [
            Key::BookId,
            Key::Name(None),
            Key::Name(Some("해리 포터와 불의 잔".parse().unwrap())),
            Key::Version("1.25".parse().unwrap()),
            Key::Stock(1_000_000_000),
            Key::Position(u64::MAX),
        ];
        for key in keys {
            let mark = Mark { key, book_id: 42.try_into().unwrap() };
            let token = write(&mark);
            assert!(
                token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
                "{token}"
            );
            assert_eq!(read(&token, mark.column()).unwrap(), mark);
            let other = if mark.column() == Column::Stock { Column::Name } else { Column::Stock };
            assert_eq!(read(&token, other).unwrap_err().name(), "invalid-parameter");
        }
    }

    #[test]
    fn what_no_list_gave_is_no_cursor() {
        for plain in
            ["", "i", "i0", "x1", "s1", "s1 -1", "s1 1; DROP TABLE books", "v1 1.234", "n1 a\nb", "책"]
        {
            let token = URL_SAFE_NO_PAD.encode(plain);
            for column in [Column::BookId, Column::Name, Column::Stock, Column::Version] {
                assert!(read(&token, column).is_err(), "{plain}");
            }
        }
        assert!(read("%%%", Column::BookId).is_err());
        assert!(read("____", Column::BookId).is_err());
    }
}
