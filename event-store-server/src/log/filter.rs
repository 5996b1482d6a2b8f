//! Which events of `$all` a reader wants.

use regex::Regex;

/// A filter over `$all`.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    subject: Subject,
    pattern: Pattern,
}

/// What the pattern is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    StreamName,
    EventType,
}

/// What the subject must look like.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Begins with one of these.
    Prefixes(Prefixes),
    /// Contains a match.
    Regex(Regex),
}

/// What a name may begin with: sorted, and none begins with another.
#[derive(Clone, Debug)]
pub(crate) struct Prefixes(Vec<String>);

impl Prefixes {
    pub(crate) fn new(mut prefixes: Vec<String>) -> Self {
        prefixes.sort_unstable();
        prefixes.dedup_by(|next, kept| next.starts_with(kept.as_str()));
        Self(prefixes)
    }

    /// However many there are, only the last one that is not behind the name can begin it.
    fn begin(&self, name: &str) -> bool {
        let behind = self.0.partition_point(|prefix| prefix.as_str() <= name);
        behind.checked_sub(1).is_some_and(|last| name.starts_with(&self.0[last]))
    }
}

impl Filter {
    pub(crate) fn new(subject: Subject, pattern: Pattern) -> Self {
        Self { subject, pattern }
    }

    pub(crate) fn matches(&self, stream: &str, event_type: &str) -> bool {
        let subject = match self.subject {
            Subject::StreamName => stream,
            Subject::EventType => event_type,
        };
        match &self.pattern {
            Pattern::Prefixes(prefixes) => prefixes.begin(subject),
            Pattern::Regex(regex) => regex.is_match(subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_alternatives_and_a_regex_may_match_anywhere() {
        let prefixes = || Pattern::Prefixes(Prefixes::new(vec!["user-".into(), "book-".into()]));
        let books = Filter::new(Subject::StreamName, prefixes());
        assert!(books.matches("book-1", "X") && books.matches("user-1", "X"));
        assert!(!books.matches("a-book-1", "book-"));

        let types = Filter::new(Subject::EventType, prefixes());
        assert!(types.matches("x", "user-made") && !types.matches("book-1", "Made"));

        let regex = Filter::new(Subject::StreamName, Pattern::Regex(Regex::new("k-[0-9]+$").unwrap()));
        assert!(regex.matches("book-17", "X") && !regex.matches("book-17a", "X"));
    }
    #[test]
    fn among_many_prefixes_those_that_fit_are_found() {
        let prefixes = ["b", "ba", "book-1", "a-", "c9", "c", "책-"].map(str::to_owned);
        let kept = Prefixes::new(prefixes.to_vec());
        for name in ["", "a", "a-1", "ab", "b", "bb", "book-", "c", "d", "책", "책-1"] {
            let fits = prefixes.iter().any(|prefix| name.starts_with(prefix));
            assert_eq!(kept.begin(name), fits, "{name}");
        }
        assert!(Prefixes::new(vec![String::new(), "a".into()]).begin("anything"));
        assert!(!Prefixes::new(Vec::new()).begin("anything"), "none of none");
    }
}
