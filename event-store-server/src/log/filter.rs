//! Which events of `$all` a reader wants.

use regex_automata::Input;
use regex_automata::meta::{self, BuildError, Cache};
use std::sync::{Mutex, PoisonError};

/// The size of a compiled regular expression and of the states that are kept of it while it is searched with, in bytes. Most
/// are small, and are not given what only a large one needs.
const SMALL: Size = Size { compiled: 16 << 10, states: 64 << 10 };
const LARGE: Size = Size { compiled: 1 << 20, states: 1 << 20 };

/// What is counted with each prefix, in bytes.
const BESIDE_PREFIX: usize = 32;

/// A filter over `$all`.
#[derive(Debug)]
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
#[derive(Debug)]
pub(crate) enum Pattern {
    /// Begins with one of these.
    Prefixes(Prefixes),
    /// Contains a match.
    Regex(Box<Regex>),
}

/// What a name may begin with: sorted, and none begins with another.
#[derive(Debug)]
pub(crate) struct Prefixes(Vec<String>);

impl Prefixes {
    pub(crate) fn new(mut prefixes: Vec<String>) -> Self {
        prefixes.sort_unstable();
        prefixes.dedup_by(|next, kept| next.starts_with(kept.as_str()));
        Self(prefixes)
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|prefix| prefix.capacity() + BESIDE_PREFIX).sum()
    }

    /// However many there are, only the last one that is not behind the name can begin it.
    fn begin(&self, name: &str) -> bool {
        let behind = self.0.partition_point(|prefix| prefix.as_str() <= name);
        behind.checked_sub(1).is_some_and(|last| name.starts_with(&self.0[last]))
    }
}

/// A regular expression, compiled. It has one cache, for whoever searches with it: else each thread that ever did would leave
/// one behind, and nobody could say how much it takes.
#[derive(Debug)]
pub(crate) struct Regex {
    compiled: meta::Regex,
    cache: Mutex<Cache>,
    bytes: usize,
}

#[derive(Clone, Copy)]
struct Size {
    compiled: usize,
    states: usize,
}

impl Regex {
    /// # Errors
    /// When it is none, or is too large when it is compiled.
    pub(crate) fn new(expression: &str) -> Result<Self, BuildError> {
        match Self::of_size(expression, SMALL) {
            Err(error) if error.size_limit().is_some() => Self::of_size(expression, LARGE),
            compiled => compiled,
        }
    }

    fn of_size(expression: &str, size: Size) -> Result<Self, BuildError> {
        // What is switched off is faster for a few expressions, and has memory of its own.
        let config = meta::Config::new()
            .nfa_size_limit(Some(size.compiled))
            .hybrid_cache_capacity(size.states)
            .onepass(false)
            .backtrack(false);
        let compiled = meta::Regex::builder().configure(config).build(expression)?;
        let cache = compiled.create_cache();
        // States are kept forwards and backwards.
        let bytes = compiled.memory_usage() + cache.memory_usage() + 2 * size.states;
        Ok(Self { compiled, cache: Mutex::new(cache), bytes })
    }

    fn is_match(&self, subject: &str) -> bool {
        // A cache that a panic left behind is made new before it is used again.
        let mut cache = self.cache.lock().unwrap_or_else(|poisoned| {
            let mut cache = PoisonError::into_inner(poisoned);
            *cache = self.compiled.create_cache();
            cache
        });
        self.compiled.is_match_with(&mut cache, &Input::new(subject))
    }
}

impl Filter {
    /// The memory that it takes at most, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.pattern {
            Pattern::Prefixes(prefixes) => prefixes.bytes(),
            Pattern::Regex(regex) => regex.bytes,
        }
    }

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

        let regex =
            Filter::new(Subject::StreamName, Pattern::Regex(Box::new(Regex::new("k-[0-9]+$").unwrap())));
        assert!(regex.matches("book-17", "X") && !regex.matches("book-17a", "X"));
    }

    #[test]
    fn a_filter_tells_how_much_it_takes_and_takes_no_more() {
        let of = |expression: &str| Regex::new(expression).unwrap();
        let small = of("^(book|user)-[0-9]+$");
        assert!(small.bytes < 192 << 10, "{}", small.bytes);
        let large = of(&format!("({})", ["[a-z]{60}[0-9]{60}"; 40].join("|")));
        assert!((2 << 20..8 << 20).contains(&large.bytes), "{}", large.bytes);
        for regex in [&small, &large] {
            let names =
                (0..2_000_u64).map(|n| format!("{}-{}", n.wrapping_mul(n * 7_919), "book-1user".repeat(9)));
            for name in names {
                let _ = regex.is_match(&name);
            }
            let used = regex.compiled.memory_usage() + regex.cache.lock().unwrap().memory_usage();
            assert!(used <= regex.bytes, "{used} {}", regex.bytes);
        }
        assert!(small.is_match("user-1") && !small.is_match("users-1"));

        let prefixes = Pattern::Prefixes(Prefixes::new(vec!["a".repeat(1_000), "b".into()]));
        assert!(Filter::new(Subject::StreamName, prefixes).bytes() > 1_000);
        let unbounded = Regex::new(r"\w{50}").unwrap_err();
        assert_eq!(unbounded.size_limit(), Some(1 << 20));
        assert!(Regex::new("(").unwrap_err().syntax_error().is_some());
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
