//! `docs/metrics.md` lists the metrics that the code has, and no other; dashboards and alert rules ask for those that are listed.

use crate::house_rules::files_under;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = "docs/metrics.md";

/// What asks for metrics.
const ASKED_IN: [&str; 2] =
    ["deploy/grafana/dashboards/bookstock.json", "deploy/prometheus/rules/bookstock.yml"];

/// What Prometheus itself adds to the name of a histogram.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_count", "_sum"];

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
    let listed = listed_in(&page);
    let mut broken = differences(&made, &listed);
    for file in ASKED_IN {
        let text = std::fs::read_to_string(root.join(file)).with_context(|| format!("reading {file}"))?;
        broken.extend(strange_in(&text, &listed).map(|name| format!("{file}: there is no metric {name}")));
    }
    Ok(broken)
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

/// What begins as names of metrics do, and is none. Names of others, such as the gateway's, begin otherwise.
fn strange_in<'a>(text: &'a str, listed: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
    let begins = |name: &str| name.split_once('_').map(|(begin, _)| begin.to_owned());
    let begin: BTreeSet<_> = listed.iter().filter_map(|name| begins(name)).collect();
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let metrics = words.filter(move |word| begins(word).is_some_and(|word| begin.contains(&word)));
    metrics.filter(|name| {
        let of_histogram = OF_HISTOGRAMS.iter().find_map(|end| name.strip_suffix(end));
        !listed.contains(*name) && !of_histogram.is_some_and(|name| listed.contains(name))
    })
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
    #[test]
    fn what_asks_for_a_metric_that_is_not_listed_is_found() {
        let listed = listed_in("| `a_total` {x} | A |\n| `b_seconds` | B |\n");
        let asked = "rate(a_total[1m]) / rate(b_seconds_bucket{x=\"a_b\"}[1m]) + a_totals + c_total";
        assert_eq!(strange_in(asked, &listed).collect::<Vec<_>>(), ["a_b", "a_totals"]);
    }
}
