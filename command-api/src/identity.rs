//! What makes two requests the same intention (ADR 0004).
//!
//! The key says "this is the one I meant before", the hash of the command says whether that is true, and both with
//! the stream make the event's id, by which the store itself knows a repeat.

use domain::Command;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The namespace of all event ids. Changing it would make the repeats of earlier commands new ones.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0c_5c2e_9d1b_4e0a_8d3f_2b7a_51c4_e906);

/// The longest key, in characters.
pub(crate) const MAX_KEY_LENGTH: usize = 255;

/// An idempotency key: 1 to 255 visible ASCII characters, no quote and no backslash among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    text: String,
    from_client: bool,
}

impl Key {
    /// The key that a client gave, if it is one.
    pub(crate) fn from_client(text: &str) -> Option<Self> {
        let length = 1..=MAX_KEY_LENGTH;
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        (length.contains(&text.len()) && plain).then(|| Self { text: text.to_owned(), from_client: true })
    }

    /// A key for a command that came without one. Nobody knows it, so nobody repeats it, unless an answer has to
    /// leave the outcome open and tells it.
    pub(crate) fn made_here() -> Self {
        Self { text: random(), from_client: false }
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a client chose it, so that the command may be a repeat.
    pub(crate) fn is_from_client(&self) -> bool {
        self.from_client
    }
}

/// The text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to {MAX_KEY_LENGTH} visible ASCII characters, no quote and no backslash among them")]
pub(crate) struct NotAKey;

impl std::str::FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        Self::from_client(text).ok_or(NotAKey)
    }
}

/// A name that nothing else has: for a key that nobody chose.
#[allow(
    clippy::disallowed_methods,
    reason = "a key that nobody chose must be random; no event id is made of it alone"
)]
pub(crate) fn random() -> String {
    Uuid::new_v4().to_string()
}

/// Half a SHA-256: enough to tell the commands of one stream apart, at half the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u64; 2]);

impl Fingerprint {
    fn of(half: u128) -> Self {
        let low = u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default();
        let high = u64::try_from(half >> 64).unwrap_or_default();
        Self([high, low])
    }
}

/// The fingerprint of a key.
pub(crate) fn fingerprint(key: &str) -> Fingerprint {
    CommandHash(Sha256::digest(key).into()).fingerprint()
}

/// SHA-256 of a command in its canonical form: its name and its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandHash([u8; 32]);

impl CommandHash {
    /// The hash of `command`.
    #[allow(clippy::expect_used, reason = "a command of numbers and strings always has a JSON form")]
    pub(crate) fn of<C: Command>(command: &C) -> Self {
        let mut canonical = Vec::with_capacity(128);
        canonical.extend_from_slice(C::NAME.as_bytes());
        canonical.push(b' ');
        serde_json::to_writer(&mut canonical, command).expect("a command is always JSON");
        Self(Sha256::digest(&canonical).into())
    }

    /// As the metadata of an event has it.
    pub(crate) fn to_hex(self) -> String {
        let digit = |half: u8| char::from(if half < 10 { b'0' + half } else { b'a' + half - 10 });
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// Its first half.
    pub(crate) fn fingerprint(self) -> Fingerprint {
        let (half, _) = self.0.split_at(16);
        Fingerprint::of(half.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte)))
    }

    /// The first half of a hash in hex; a text that is no hash has the fingerprint of no command.
    pub(crate) fn fingerprint_of_hex(hex: &str) -> Option<Fingerprint> {
        hex.get(..32).and_then(|half| u128::from_str_radix(half, 16).ok()).map(Fingerprint::of)
    }
}

/// The id of the event number `index` of a command.
pub(crate) fn event_id(stream: &str, key: &Key, command: CommandHash, index: usize) -> Uuid {
    // None of the parts can hold a line break, so no two lists of parts make the same name.
    let name = format!("{stream}\n{}\n{}\n{index}", key.as_str(), command.to_hex());
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::book::{BookId, Renew, Warehouse};

    fn warehouse(qty: u64) -> Warehouse {
        Warehouse {
            book_id: BookId::try_from(1).unwrap(),
            qty: qty.try_into().unwrap(),
            version: None,
            name: None,
            default_name: None,
            at: Timestamp::default(),
        }
    }

    #[test]
    fn the_id_of_an_event_is_the_same_in_every_release() {
        let key = Key::from_client("delivery-7:1").unwrap();
        let hash = CommandHash::of(&warehouse(123));
        assert_eq!(hash.to_hex(), "a83669338f08a790c5233ee54889845cdd8f30323acc71ba48f344eb629571df");
        assert_eq!(event_id("book-1", &key, hash, 0).to_string(), "3e3d7a19-bd36-56ad-9105-00c8a2a5958c");
    }

    #[test]
    fn each_part_of_an_intention_makes_another_id() {
        let (key, other) = (Key::from_client("a").unwrap(), Key::from_client("b").unwrap());
        let hash = CommandHash::of(&warehouse(123));
        let renew = Renew { book_id: BookId::try_from(1).unwrap(), version: None, at: Timestamp::default() };
        let ids = [
            event_id("book-1", &key, hash, 0),
            event_id("book-2", &key, hash, 0),
            event_id("book-1", &other, hash, 0),
            event_id("book-1", &key, CommandHash::of(&warehouse(124)), 0),
            event_id("book-1", &key, CommandHash::of(&renew), 0),
            event_id("book-1", &key, hash, 1),
        ];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn the_time_of_a_repeat_does_not_make_it_another_command() {
        let later = Warehouse { at: Timestamp::from_unix_micros(99).unwrap(), ..warehouse(1) };
        assert_eq!(CommandHash::of(&later), CommandHash::of(&warehouse(1)));
    }

    #[test]
    fn a_fingerprint_read_back_from_an_event_is_the_same() {
        let hash = CommandHash::of(&warehouse(1));
        assert_eq!(CommandHash::fingerprint_of_hex(&hash.to_hex()), Some(hash.fingerprint()));
        for other in ["", "abc", "책책책책책책책책책책책책책책책책", &"g".repeat(64)] {
            assert_eq!(CommandHash::fingerprint_of_hex(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_is_one_to_255_visible_characters() {
        for good in ["x", "8e03978e-40d5-43e8-bc93-6894a57f9324", &"k".repeat(255)] {
            assert_eq!(Key::from_client(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\nb", "a\"b", "a\\b", "책", &"k".repeat(256)] {
            assert_eq!(Key::from_client(bad), None, "{bad}");
        }
    }
}
