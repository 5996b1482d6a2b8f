//! Entity tags: a client that has the answer already does not get it again.

use axum::http::{HeaderMap, header};
use read_model::At;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// What tells one state of a resource from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ETag(String);

impl ETag {
    /// Of one row: the revision of its book, which `If-Match` of a command takes too, and the generation of tables.
    pub(super) fn of_row(revision: u64, generation: i32) -> Self {
        Self(format!("\"{revision}.{generation}\""))
    }

    /// Of a list: whatever changes the state may change any page of it, so every state has its own.
    pub(super) fn of_list<T>(query: &str, found: &At<T>) -> Self {
        let mut hasher = DefaultHasher::new();
        (query, found.state()).hash(&mut hasher);
        Self(format!("\"{:016x}\"", hasher.finish()))
    }

    /// Whether the client has this state already, by its `If-None-Match`.
    pub(super) fn is_known(&self, headers: &HeaderMap) -> bool {
        let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        given.flat_map(|value| value.split(',')).map(str::trim).any(|tag| {
            // A cache on the way may have weakened it.
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0
        })
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn is_known(if_none_match: &str) -> bool {
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, if_none_match.parse().unwrap())]);
        ETag::of_row(7, 1).is_known(&headers)
    }

    #[test]
    fn a_client_may_know_several_states() {
        for tags in ["\"7.1\"", "W/\"7.1\"", "\"6.1\", \"7.1\"", "*"] {
            assert!(is_known(tags), "{tags}");
        }
        for tags in ["\"6.1\"", "\"7.2\"", "7.1", "", "\"7.1"] {
            assert!(!is_known(tags), "{tags}");
        }
        assert!(!ETag::of_row(7, 1).is_known(&HeaderMap::new()));
    }

    #[test]
    fn lists_differ_by_query_and_state() {
        let (age, stale) = (Duration::ZERO, false);
        let at = At { value: (), generation: 1, refolds: 0, position: 42, age, stale, parked: 1 };
        let tag = ETag::of_list("/books", &at);
        assert_eq!(tag, ETag::of_list("/books", &At { age: Duration::from_secs(1), stale: true, ..at }));
        for other in [
            ETag::of_list("/books?page=1", &at),
            ETag::of_list("/books", &At { generation: 2, ..at }),
            ETag::of_list("/books", &At { position: 43, ..at }),
            ETag::of_list("/books", &At { refolds: 1, ..at }),
        ] {
            assert_ne!(tag, other);
        }
    }
}
