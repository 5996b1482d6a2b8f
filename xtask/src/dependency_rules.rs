//! Which of our crates may depend on which: the picture in ARCHITECTURE.md as a table.

use cargo_metadata::{DependencyKind, Metadata};

/// What a crate may depend on, of our own crates.
enum Allowed {
    Only(&'static [&'static str]),
    Anything,
}
use Allowed::{Anything, Only};

/// A crate, what it may see, and why no more.
const RULES: &[(&str, Allowed, &str)] = &[
    ("domain", Only(&[]), "the rules are pure: they see nothing of ours"),
    ("event-store", Only(&[]), "the port moves bytes: it knows nothing of books"),
    ("service-kit", Only(&[]), "what services share has no business word"),
    ("event-store-server", Only(&["service-kit"]), "the server speaks the wire and sees none of ours"),
    ("read-model", Only(&["domain"]), "views are made of events alone"),
    ("command-api", Only(&["domain", "event-store", "service-kit"]), "commands never read a view"),
    (
        "projector",
        Only(&["domain", "event-store", "read-model", "service-kit"]),
        "a service never sees another service",
    ),
    ("query-api", Only(&["read-model", "service-kit"]), "queries read only the read models"),
    (
        "replay",
        Only(&["domain", "event-store", "read-model", "projector", "service-kit"]),
        "the replay tool may use the projector, and no other service",
    ),
    ("xtask", Only(&[]), "a check is not part of what it checks"),
    ("bookstock", Anything, "the launcher sees all"),
    ("e2e", Anything, "black-box tests see all"),
    ("bench", Anything, "benchmarks see all"),
];

/// A dependency between two of our crates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    from: String,
    to: String,
    kind: DependencyKind,
}

/// All dependencies between workspace members, those of tests and build scripts too.
pub(crate) fn arrows(metadata: &Metadata) -> Vec<Arrow> {
    let packages = metadata.workspace_packages();
    let ours = |name: &str| packages.iter().any(|package| package.name.as_str() == name);
    packages
        .iter()
        .flat_map(|package| {
            let from = package.name.to_string();
            package.dependencies.iter().filter(|dependency| ours(&dependency.name)).map(move |dependency| {
                Arrow { from: from.clone(), to: dependency.name.clone(), kind: dependency.kind }
            })
        })
        .collect()
}

/// The broken rules, one line each.
pub(crate) fn check(arrows: &[Arrow]) -> Vec<String> {
    arrows.iter().filter_map(broken_by).collect()
}

fn broken_by(arrow: &Arrow) -> Option<String> {
    let Arrow { from, to, kind } = arrow;
    match RULES.iter().find(|(name, ..)| name == from) {
        None => Some(format!("{from} has no rule: say in xtask/src/dependency_rules.rs what it may see")),
        Some((_, Anything, _)) => None,
        Some((_, Only(allowed), _)) if allowed.contains(&to.as_str()) => None,
        Some((_, Only(_), why)) => Some(format!("{from} -> {to} ({kind}) is forbidden: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: &str, to: &str) -> Arrow {
        Arrow { from: from.to_owned(), to: to.to_owned(), kind: DependencyKind::Normal }
    }

    #[test]
    fn every_arrow_that_the_design_forbids_is_found_with_its_rule() {
        for (from, to) in [
            ("domain", "event-store"),
            ("domain", "service-kit"),
            ("event-store", "domain"),
            ("command-api", "read-model"),
            ("read-model", "event-store"),
            ("query-api", "event-store"),
            ("query-api", "domain"),
            ("projector", "command-api"),
            ("query-api", "projector"),
            ("replay", "query-api"),
            ("event-store-server", "event-store"),
            ("service-kit", "domain"),
            ("stranger", "domain"),
        ] {
            let broken = check(&[arrow(from, to)]);
            assert_eq!(broken.len(), 1, "{from} -> {to}");
            assert!(broken[0].contains(from), "{broken:?}");
        }
    }

    #[test]
    fn the_arrows_of_the_design_are_allowed() {
        for (from, to) in [("projector", "read-model"), ("replay", "projector"), ("bookstock", "query-api")] {
            assert_eq!(check(&[arrow(from, to)]), Vec::<String>::new());
        }
    }
}
