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
    Prefixes(Vec<String>),
    /// Contains a match.
    Regex(Regex),
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
            Pattern::Prefixes(prefixes) => prefixes.iter().any(|prefix| subject.starts_with(prefix)),
            Pattern::Regex(regex) => regex.is_match(subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_alternatives_and_a_regex_may_match_anywhere() {
        let prefixes = || Pattern::Prefixes(vec!["book-".into(), "user-".into()]);
        let books = Filter::new(Subject::StreamName, prefixes());
        assert!(books.matches("book-1", "X") && books.matches("user-1", "X"));
        assert!(!books.matches("a-book-1", "book-"));

        let types = Filter::new(Subject::EventType, prefixes());
        assert!(types.matches("x", "user-made") && !types.matches("book-1", "Made"));

        let regex = Filter::new(Subject::StreamName, Pattern::Regex(Regex::new("k-[0-9]+$").unwrap()));
        assert!(regex.matches("book-17", "X") && !regex.matches("book-17a", "X"));
    }
}
