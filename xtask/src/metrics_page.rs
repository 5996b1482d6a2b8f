//! `docs/metrics.md` lists the metrics that the code has, and no other.

use crate::house_rules::files_under;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = "docs/metrics.md";

/// How a metric is made (service-kit, `metrics`).
const MAKERS: [&str; 3] = ["Counter::new(", "Gauge::new(", "Histogram::new("];

/// What begins the names of metrics that exist in tests only.
const OF_TESTS: &str = "test_";

/// What the page lacks, and what it has too much, one line each.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut made = BTreeSet::new();
    for file in files_under(root)? {
        if file.extension().is_some_and(|extension| extension == "rs") && !file.ends_with("metrics_page.rs") {
            let text =
                std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            made.extend(made_in(&text));
        }
    }
    let page = std::fs::read_to_string(root.join(PAGE)).with_context(|| format!("reading {PAGE}"))?;
    Ok(differences(&made, &listed_in(&page)))
}

fn made_in(text: &str) -> BTreeSet<String> {
    let names = MAKERS.iter().flat_map(|maker| text.split(maker).skip(1));
    names.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next()).filter_map(ours).collect()
}

fn listed_in(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.filter_map(ours).collect()
}

fn ours(name: &str) -> Option<String> {
    (!name.starts_with(OF_TESTS)).then(|| name.to_owned())
}

fn differences(made: &BTreeSet<String>, listed: &BTreeSet<String>) -> Vec<String> {
    let missing = made.difference(listed).map(|name| format!("{PAGE}: the metric {name} is not listed"));
    let extra = listed.difference(made).map(|name| format!("{PAGE}: no code has the metric {name}"));
    missing.chain(extra).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_the_code_are_held_against_each_other() {
        let code = r#"
            static A: Counter<1> = Counter::new("a_total", "A.", ["x"]);
            static B: Histogram<0> = Histogram::new(
                "b_seconds", "B.", []);
            static T: Gauge<0> = Gauge::new("test_t", "T.", []);
            let parts = Vec::new();
        "#;
        let page = "| name | what |\n|---|---|\n| `a_total` {x} | A |\n| `c` | C |\n";
        let broken = differences(&made_in(code), &listed_in(page));
        let expected = ["the metric b_seconds is not listed", "no code has the metric c"];
        assert_eq!(broken, expected.map(|rule| format!("docs/metrics.md: {rule}")));
    }
}
