//! What `$$stream` says about which events of a stream are visible.

use super::event::Revision;
use serde_json::Value;

/// The part of a stream's metadata that reads obey. Truncation hides events from reads of the stream, not of `$all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamMetadata {
    /// `$maxCount`: only so many of the last events are visible.
    pub(crate) max_count: Option<i64>,
    /// `$tb`: events before this revision are not visible.
    pub(crate) truncate_before: Option<Revision>,
}

impl StreamMetadata {
    /// What holds for every metadata stream: only its last event counts.
    pub(crate) const OF_METADATA_STREAM: Self = Self { max_count: Some(1), truncate_before: None };

    /// Reads the data of a `$metadata` event. Whatever cannot be read means no restriction: nobody is kept from
    /// events by a slip in an optional setting.
    pub(crate) fn parse(data: &[u8]) -> Self {
        let Ok(Value::Object(fields)) = serde_json::from_slice(data) else {
            return Self::default();
        };
        let number =
            |name: &str, least: i64| fields.get(name).and_then(Value::as_i64).filter(|value| *value >= least);
        Self { max_count: number("$maxCount", 1), truncate_before: number("$tb", 0) }
    }

    /// The first revision that a reader may see in a stream whose last event is `last`.
    pub(crate) fn first_visible(self, last: Revision) -> Revision {
        let by_count = self.max_count.map_or(0, |count| last - (count - 1));
        by_count.max(self.truncate_before.unwrap_or(0)).max(0)
    }
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
            assert_eq!(StreamMetadata::parse(json.as_bytes()).first_visible(9), *first, "{json}");
        }
        assert_eq!(StreamMetadata::OF_METADATA_STREAM.first_visible(9), 9);
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
        ];
        for data in garbage {
            assert_eq!(StreamMetadata::parse(data), StreamMetadata::default(), "{data:?}");
        }
    }
}
