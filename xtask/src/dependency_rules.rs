//! Which of our crates may depend on which: the picture in ARCHITECTURE.md as a table.

use cargo_metadata::{DependencyKind, Metadata};

/// What a crate may depend on, of our own crates.
enum Allowed {
    Only(&'static [&'static str]),
    Anything,
}
use Allowed::{Anything, Only};

/// The rule's name, the crate it is about, what that may see, and why no more.
const RULES: &[(&str, &str, Allowed, &str)] = &[
    ("pure-domain", "domain", Only(&[]), "the rules of the business see nothing of ours"),
    ("bytes-only-port", "event-store", Only(&[]), "the port moves bytes and knows nothing of books"),
    ("plain-kit", "service-kit", Only(&[]), "what services share has no business word"),
    (
        "wire-only-server",
        "event-store-server",
        Only(&["campaign", "service-kit"]),
        "the server speaks the wire alone; its tests are repeated",
    ),
    ("views-from-events", "read-model", Only(&["domain"]), "views are made of events alone"),
    (
        "commands-never-read-views",
        "command-api",
        Only(&["domain", "event-store", "service-kit"]),
        "a command is decided on the stream, and no service sees another",
    ),
    (
        "projector-stands-alone",
        "projector",
        Only(&["campaign", "domain", "event-store", "read-model", "service-kit"]),
        "no service sees another; its tests are repeated",
    ),
    (
        "queries-only-read-views",
        "query-api",
        Only(&["read-model", "service-kit"]),
        "a query is answered from the read models, and no service sees another",
    ),
    (
        "replay-projects",
        "replay",
        Only(&["domain", "event-store", "read-model", "projector", "service-kit", "campaign"]),
        "the replay tool may use the projector, and no other service",
    ),
    ("campaigns-know-nothing", "campaign", Only(&[]), "what is repeated is none of its business"),
    ("checks-stand-apart", "xtask", Only(&[]), "a check is not part of what it checks"),
    ("launcher-sees-all", "bookstock", Anything, "it runs every service in one process"),
    (
        "topology-starts-programs",
        "topology",
        Only(&["bookstock", "service-kit"]),
        "it runs the services as programs; of the launcher it takes the private PostgreSQL",
    ),
    ("black-box-tests-see-all", "e2e", Anything, "they run the whole system"),
    ("benchmarks-see-all", "bench", Anything, "they measure any part"),
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
    match RULES.iter().find(|(_, about, ..)| about == from) {
        None => Some(format!(
            "every-crate-has-a-rule: {from} has none; say in xtask/src/dependency_rules.rs what it may see"
        )),
        Some((_, _, Anything, _)) => None,
        Some((_, _, Only(allowed), _)) if allowed.contains(&to.as_str()) => None,
        Some((rule, _, Only(_), why)) => Some(format!("{rule}: {from} -> {to} ({kind}) is forbidden: {why}")),
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
        for (from, to, rule) in [
            ("domain", "event-store", "pure-domain"),
            ("domain", "service-kit", "pure-domain"),
            ("event-store", "domain", "bytes-only-port"),
            ("service-kit", "domain", "plain-kit"),
            ("event-store-server", "event-store", "wire-only-server"),
            ("read-model", "event-store", "views-from-events"),
            ("command-api", "read-model", "commands-never-read-views"),
            ("projector", "command-api", "projector-stands-alone"),
            ("query-api", "event-store", "queries-only-read-views"),
            ("query-api", "domain", "queries-only-read-views"),
            ("query-api", "projector", "queries-only-read-views"),
            ("replay", "query-api", "replay-projects"),
            ("xtask", "service-kit", "checks-stand-apart"),
            ("stranger", "domain", "every-crate-has-a-rule"),
        ] {
            let broken = check(&[arrow(from, to)]);
            assert_eq!(broken.len(), 1, "{from} -> {to}");
            assert!(broken[0].starts_with(&format!("{rule}: {from} ")), "{broken:?}");
        }
    }

    #[test]
    fn tests_and_build_scripts_obey_the_rules_too() {
        for kind in [DependencyKind::Development, DependencyKind::Build] {
            assert_eq!(check(&[Arrow { kind, ..arrow("domain", "event-store") }]).len(), 1);
        }
    }

    #[test]
    fn the_arrows_of_the_design_are_allowed() {
        for (from, to) in [("projector", "read-model"), ("replay", "projector"), ("bookstock", "query-api")] {
            assert_eq!(check(&[arrow(from, to)]), Vec::<String>::new());
        }
    }
}
