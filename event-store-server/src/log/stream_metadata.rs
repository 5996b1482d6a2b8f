//! What `$$stream` says about which events of a stream are visible.

use super::event::Revision;
use serde_json::{Map, Value};

/// The value of `$tb` that deletes a stream.
const DELETED: Revision = Revision::MAX;

/// The metadata of a deleted stream. Nothing of what it was before is kept.
pub(crate) const DELETION: &str = r#"{"$tb":9223372036854775807}"#;

/// The part of a stream's metadata that reads obey. Truncation hides events from reads of the stream, not of `$all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamMetadata {
    /// `$maxCount`: only so many of the last events are visible.
    pub(crate) max_count: Option<i64>,
    /// `$tb`: events before this revision are not visible. [`Revision::MAX`]: the stream is deleted, until somebody
    /// appends to it again.
    pub(crate) truncate_before: Option<Revision>,
    /// `$maxAge`: events that are so many seconds old are not visible.
    pub(crate) max_age: Option<i64>,
}

impl StreamMetadata {
    /// What holds for every metadata stream: only its last event counts.
    pub(crate) const OF_METADATA_STREAM: Self =
        Self { max_count: Some(1), truncate_before: None, max_age: None };

    /// Reads the last event of a metadata stream, which has to be JSON. Whatever cannot be read means no restriction: nobody
    /// is kept from events by a slip in an optional setting. A slip in one of them drops all, as in the model.
    pub(crate) fn parse(data: &[u8], is_json: bool) -> Self {
        let fields = is_json.then(|| serde_json::from_slice(data).ok()).flatten();
        fields.and_then(|fields| Self::of(&fields)).unwrap_or_default()
    }

    fn of(fields: &Map<String, Value>) -> Option<Self> {
        let number = |name: &str, least: i64| match fields.get(name) {
            None => Some(None),
            Some(value) => value.as_i64().map(|value| (value >= least).then_some(value)),
        };
        let is_right = |name: &str, right: fn(&Value) -> bool| fields.get(name).is_none_or(right);
        number("$cacheControl", 1)?;
        if !is_right("$tmp", Value::is_boolean) || !is_right("$acl", is_access_list) {
            return None;
        }
        Some(Self {
            max_count: number("$maxCount", 1)?,
            truncate_before: number("$tb", 0)?,
            max_age: number("$maxAge", 1)?,
        })
    }

    /// What `data` becomes when a deleted stream is written to again, whose next event has the revision `first`; all
    /// else in it stays. Nothing where it is no JSON object.
    pub(crate) fn revived(data: &[u8], first: Revision) -> Option<Vec<u8>> {
        let mut fields: serde_json::Map<String, Value> = serde_json::from_slice(data).ok()?;
        fields.insert("$tb".to_owned(), first.into());
        serde_json::to_vec(&fields).ok()
    }

    /// Whether the stream is deleted (not for ever: that is a tombstone).
    pub(crate) fn is_deleted(self) -> bool {
        self.truncate_before == Some(DELETED)
    }

    /// Events that were created before this time, in ticks, are not visible at the time `now`.
    pub(crate) fn oldest_visible(self, now: i64) -> Option<i64> {
        self.max_age.map(|seconds| now.saturating_sub(seconds.saturating_mul(10_000_000)))
    }

    /// The first revision that a reader may see in a stream whose last event is `last`.
    pub(crate) fn first_visible(self, last: Revision) -> Revision {
        let by_count = self.max_count.map_or(0, |count| last.saturating_sub(count - 1));
        by_count.max(self.truncate_before.unwrap_or(0)).max(0)
    }
}

/// Who may do what: the names of users and groups, or one of them.
fn is_access_list(value: &Value) -> bool {
    let are_names = |names: &Value| match names {
        Value::Array(names) => names.iter().all(Value::is_string),
        names => names.is_string(),
    };
    value.as_object().is_some_and(|list| list.values().all(are_names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_of_count_and_truncation_decides_what_is_visible() {
        let cases: &[(&str, Revision)] = &[
            ("{}", 0),
            (r#"{"$maxCount":3}"#, 7),
            (r#"{"$maxCount":30}"#, 0),
            (r#"{"$tb":4}"#, 4),
            (r#"{"$tb":4,"$maxCount":3}"#, 7),
            (r#"{"$tb":8,"$maxCount":3}"#, 8),
            (r#"{"$tb":100}"#, 100),
            (r#"{"$maxCount":9223372036854775807}"#, 0),
        ];
        for (json, first) in cases {
            assert_eq!(StreamMetadata::parse(json.as_bytes(), true).first_visible(9), *first, "{json}");
        }
        assert_eq!(StreamMetadata::OF_METADATA_STREAM.first_visible(9), 9);
    }

    #[test]
    fn a_deleted_stream_that_is_revived_begins_with_its_next_event_and_keeps_other_metadata() {
        assert!(StreamMetadata::parse(DELETION.as_bytes(), true).is_deleted());
        let data = br#"{"$tb":9223372036854775807,"$maxCount":5,"mine":[1]}"#;
        let revived = StreamMetadata::revived(data, 7).unwrap();
        let metadata = StreamMetadata::parse(&revived, true);
        assert_eq!((metadata.truncate_before, metadata.max_count), (Some(7), Some(5)));
        assert!(String::from_utf8(revived).unwrap().contains(r#""mine":[1]"#));
        assert_eq!(StreamMetadata::revived(b"[]", 7), None);
    }

    #[test]
    fn age_is_counted_in_seconds_up_to_now() {
        let metadata = StreamMetadata::parse(br#"{"$maxAge":10}"#, true);
        assert_eq!(metadata.oldest_visible(1_000_000_000), Some(900_000_000));
        assert_eq!(StreamMetadata::parse(br#"{"$maxAge":0}"#, true).oldest_visible(1), None);
    }

    #[test]
    fn garbage_restricts_nothing() {
        let garbage: &[&[u8]] = &[
            b"",
            b"\xff\x00",
            b"[1]",
            b"{\"$tb\":",
            br#"{"$maxCount":-1,"$tb":"x"}"#,
            br#"{"$maxCount":0}"#,
            br#"{"$maxCount":5,"$tb":9223372036854775808}"#,
            br#"{"$maxCount":5,"$cacheControl":"1 h"}"#,
            br#"{"$maxCount":5,"$acl":{"$r":[7]}}"#,
        ];
        for data in garbage {
            assert_eq!(StreamMetadata::parse(data, true), StreamMetadata::default(), "{data:?}");
        }
        let (good, acl) =
            (br#"{"$maxCount":5,"$tb":-1}"#, br#"{"$maxCount":5,"$acl":{"$r":"a","$w":["b"]}}"#);
        for data in [&good[..], acl] {
            assert_eq!(StreamMetadata::parse(data, true).max_count, Some(5));
            assert_eq!(StreamMetadata::parse(data, false), StreamMetadata::default(), "it is no JSON");
        }
    }
}
