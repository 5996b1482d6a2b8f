//! Finding books by what they are called: the folded form of names, which the views keep beside them.
//!
//! Case, the way a Korean syllable is composed, and spaces do not count: 해리포터 finds 해리 포터. Initial consonants
//! (초성) find a name too: ㅎㄹㅍㅌ.

use domain::book::{BookId, BookName};
use unicode_normalization::UnicodeNormalization as _;

/// The initial consonants of Korean syllables, in the order of the syllables in Unicode.
const INITIALS: [char; 19] = [
    'ㄱ', 'ㄲ', 'ㄴ', 'ㄷ', 'ㄸ', 'ㄹ', 'ㅁ', 'ㅂ', 'ㅃ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅉ', 'ㅊ', 'ㅋ', 'ㅌ',
    'ㅍ', 'ㅎ',
];

/// The first syllable, and how many follow it that begin with the same consonant.
const FIRST_SYLLABLE: u32 = 0xAC00;
const SYLLABLES: u32 = 11_172;
const WITH_ONE_INITIAL: u32 = 588;

/// What a book is looked for by: a part of its name, or its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Words {
    pub(crate) folded: String,
    pub(crate) book_id: Option<BookId>,
}

impl Words {
    /// What somebody typed; nothing, if that is blank.
    #[must_use]
    pub fn typed(text: &str) -> Option<Self> {
        let folded = fold(text);
        let book_id = folded.parse().ok().and_then(|number: u64| BookId::try_from(number).ok());
        (!folded.is_empty()).then_some(Self { folded, book_id })
    }

    pub(crate) fn find(&self, book_id: BookId, key: &str) -> bool {
        key.contains(&self.folded) || self.book_id == Some(book_id)
    }
}

/// What is searched for a name: its folded form, and then, if that is another, the same with each syllable's initial
/// consonant for the syllable. Names have no line breaks, so that nothing matches across.
pub(crate) fn key(name: Option<&BookName>) -> String {
    let mut key = name.map(|name| fold(name.as_str())).unwrap_or_default();
    let initials: String = key.chars().map(initial).collect();
    if initials != key {
        key.push('\n');
        key.push_str(&initials);
    }
    key
}

/// The form in which names are compared with what is asked for.
pub(crate) fn fold(text: &str) -> String {
    let visible = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
    // Lower case can come apart again, so that it is composed once more.
    visible(text).nfc().flat_map(char::to_lowercase).nfc().collect()
}

fn initial(char: char) -> char {
    let syllable = u32::from(char).wrapping_sub(FIRST_SYLLABLE);
    if syllable >= SYLLABLES {
        return char;
    }
    let initial = usize::try_from(syllable / WITH_ONE_INITIAL).ok().and_then(|index| INITIALS.get(index));
    initial.copied().unwrap_or(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(asked: &str, name: &str) -> bool {
        key(Some(&name.parse().unwrap())).contains(&fold(asked))
    }

    #[test]
    fn a_part_of_a_name_finds_it_whatever_its_case_and_spaces() {
        for asked in ["Harry", "harry POTTER", "arryp", "", "  "] {
            assert!(finds(asked, "Harry Potter"), "{asked}");
        }
        for asked in ["해리", "리포", "해리 포터", "해 리포터"] {
            assert!(finds(asked, "해리 포터"), "{asked}");
        }
        assert!(!finds("Potter Harry", "Harry Potter"));
        assert!(finds("ÉTRANGER", "L'étranger"));
    }

    #[test]
    fn initial_consonants_find_a_korean_name() {
        for asked in ["ㅎㄹㅍㅌ", "ㅎㄹ ㅍㅌ", "ㄹㅍ", "ㅍㅌ 2"] {
            assert!(finds(asked, "해리 포터 2"), "{asked}");
        }
        assert!(!finds("ㅍㄹ", "해리 포터 2"));
        assert!(!finds("ㅎㄹ", "Harry"));
    }

    #[test]
    fn a_name_typed_in_jamo_is_the_same_name() {
        let decomposed: String = "해리 포터".nfd().collect();
        assert!(finds(&decomposed, "해리 포터"));
        assert!(finds("해리", &decomposed));
    }

    #[test]
    fn nothing_matches_across_a_name_and_its_initials() {
        assert!(!finds("터ㅎ", "해리 포터"));
        assert_eq!(key(Some(&"Emma".parse().unwrap())), "emma");
        assert_eq!(key(None), "");
    }
}
