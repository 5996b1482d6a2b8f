//! The commands that the documents show work: each block marked `sh` is run, in order, against a running system.
#![cfg(test)]

use e2e::{System, eventually};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// The addresses that the documents speak of, and whose they are.
const DEFAULTS: [(&str, &str); 4] = [
    ("localhost:8088", "gateway"),
    ("localhost:8085", "commandApi"),
    ("localhost:8083", "queryApi"),
    ("localhost:8086", "admin"),
];

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The blocks of a document that are fenced as `sh`.
fn blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.trim().strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            if language == "sh" {
                blocks.push(block.join("\n"));
            }
        }
    }
    blocks
}

/// Runs what the document shows. `bin/up` and `bin/test`, which start this test, only have to be there.
async fn runs(name: &str) {
    let blocks = blocks(&fs::read_to_string(checkout().join(name)).unwrap());
    assert!(!blocks.is_empty(), "{name} shows no command");
    let system = System::start().await;
    for block in blocks {
        let (programs, commands): (Vec<&str>, Vec<&str>) =
            block.lines().partition(|line| line.starts_with("bin/"));
        for program in programs {
            let path = checkout().join(program.split_whitespace().next().unwrap());
            let mode =
                fs::metadata(&path).unwrap_or_else(|error| panic!("{program}: {error}")).permissions().mode();
            assert!(mode & 0o111 != 0, "{program} cannot be executed");
        }
        let mut script = commands.join("\n");
        for (default, part) in DEFAULTS {
            script = script.replace(default, system.listen(part));
        }
        // A view may be some milliseconds behind; people do not notice.
        eventually(&format!("what {name} shows works"), async || {
            let ran = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap();
            if ran.status.success() { Ok(()) } else { Err(format!("{script}\n{ran:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn the_commands_of_the_readme_work() {
    runs("README.md").await;
}

#[tokio::test]
async fn the_commands_of_the_korean_readme_work() {
    runs("README.ko.md").await;
}

#[test]
fn both_readmes_show_the_same_commands() {
    let commands = |name: &str| blocks(&fs::read_to_string(checkout().join(name)).unwrap());
    assert_eq!(commands("README.md"), commands("README.ko.md"));
}

#[test]
fn what_the_documents_link_to_is_there() {
    for name in [
        "README.md",
        "README.ko.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/GLOSSARY.md",
        "SECURITY.md",
        "docs/threat-model.md",
        "docs/checkpoints.md",
        "docs/images/README.md",
        "docs/design/README.md",
        "docs/design/README.ko.md",
        "docs/runbooks/README.md",
        "deploy/gateway/README.md",
        "deploy/k8s/README.md",
    ] {
        let document = fs::read_to_string(checkout().join(name)).unwrap();
        let folder = checkout().join(name).parent().unwrap().to_owned();
        for link in document.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
        {
            let path = link.split('#').next().unwrap();
            let local = !path.is_empty() && !path.contains("://");
            assert!(!local || folder.join(path).exists(), "{name} links to {link}");
        }
    }
}

/// The places that a document names in backticks: a path with a slash and an ending, and perhaps an item in it.
fn places(document: &str) -> Vec<(&str, Option<&str>)> {
    let quoted = document.split('`').skip(1).step_by(2);
    let place =
        |text: &'_ str| text.contains('/') && text.contains('.') && !text.contains([' ', '<', '*', '{', ':']);
    quoted
        .filter_map(|text| match text.split_once("::") {
            Some((path, item)) => place(path).then_some((path, Some(item))),
            None => place(text).then_some((text, None)),
        })
        .collect()
}

#[test]
fn every_place_that_the_check_points_and_the_threats_name_is_there() {
    for name in ["docs/checkpoints.md", "docs/threat-model.md", "SECURITY.md"] {
        let document = fs::read_to_string(checkout().join(name)).unwrap();
        let named = places(&document);
        assert!(!named.is_empty(), "{name} names no place");
        for (path, item) in named {
            if path.starts_with('/') || path.starts_with("..") {
                continue;
            }
            assert!(checkout().join(path).exists(), "{name} names {path}, which is not there");
            let Some(item) = item else { continue };
            let text = fs::read_to_string(checkout().join(path)).unwrap();
            let is_there =
                [format!("fn {item}("), format!("pub {item}:")].iter().any(|way| text.contains(way));
            assert!(is_there, "{name} names {item}, which is not in {path}");
        }
    }
}

#[test]
fn every_check_point_is_shown_by_a_test_or_by_a_program() {
    let document = fs::read_to_string(checkout().join("docs/checkpoints.md")).unwrap();
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 30, "only {} rows", rows.len());
    for row in rows.into_iter().filter(|row| !row.starts_with("| check point ")) {
        let shown_by = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let is_test = |path: &str, item: &str| {
            let text = fs::read_to_string(checkout().join(path)).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let is_it = |line: &&str| line.contains(&format!("fn {item}("));
            let Some(at) = lines.iter().position(is_it) else { return false };
            // Past what else stands between a test and its name.
            lines[..at].iter().rev().take_while(|line| !line.is_empty()).any(|line| line.contains("test"))
        };
        let shown = places(shown_by).into_iter().any(|(path, item)| match item {
            Some(item) => is_test(path, item),
            None => path.starts_with("bin/lib/"),
        });
        assert!(shown, "nothing shows this: {row}");
    }
}

/// What the code of the workspace says, tests included.
fn code(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_str().unwrap();
        if entry.is_dir() && !["target", "node_modules", ".git"].contains(&name) {
            code(&entry, text);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            *text += &fs::read_to_string(&entry).unwrap();
        }
    }
}

#[test]
fn the_words_of_the_glossary_are_those_of_the_code() {
    let glossary = fs::read_to_string(checkout().join("docs/GLOSSARY.md")).unwrap();
    let mut text = String::new();
    code(checkout(), &mut text);
    let known: HashSet<&str> =
        text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
    let rows = glossary.lines().filter(|line| line.starts_with("| ")).skip(1);
    let words = rows.flat_map(|row| row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2));
    // Commands of programs stand there, too.
    let words: Vec<&str> = words.filter(|word| !word.contains(' ')).collect();
    assert!(words.len() > 25, "{words:?}");
    for word in words {
        assert!(known.contains(word), "the glossary has {word}, and the code has not");
    }
}

#[test]
fn the_ports_of_the_topology_are_those_that_the_readmes_tell() {
    let parts = fs::read_to_string(checkout().join("topology/src/parts.rs")).unwrap();
    let taken: HashSet<&str> = parts
        .split("addr(")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|port| port.parse::<u16>().is_ok())
        .collect();
    for (name, head) in [("README.md", "| part | ports |"), ("README.ko.md", "| 부분 | 포트 |")] {
        let document = fs::read_to_string(checkout().join(name)).unwrap();
        let (_, table) = document.split_once(head).unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let told: HashSet<&str> = rows.flat_map(|row| numbers(row.split('|').nth(2).unwrap())).collect();
        assert_eq!(told, taken, "{name}");
    }
}

#[test]
fn the_runbooks_tell_of_each_alert_what_its_rule_says_and_each_rule_has_a_test() {
    let read = |name: &str| fs::read_to_string(checkout().join(name)).unwrap();
    let rules = read("deploy/prometheus/rules/bookstock.yml");
    let tests = fs::read_dir(checkout().join("deploy/prometheus/tests")).unwrap();
    let tests: String = tests.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let mut told = HashSet::new();
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        let value = |key: &str| {
            let line = rule.lines().find_map(|line| line.trim().strip_prefix(key));
            line.unwrap_or_else(|| panic!("{name} has no {key}")).trim().trim_matches('"').to_owned()
        };
        let after = match value("for:").as_str() {
            "0s" => "at once".to_owned(),
            other => other.replace('s', " s").replace('m', " min"),
        };
        told.insert(format!(
            "| [{name}]({name}.md) | {} | {after} | {} |",
            value("severity:"),
            value("promise:")
        ));
        // Once that it fires, and once that it does not.
        let tried = tests.matches(&format!("ALERTS{{alertname=\"{name}\",")).count();
        assert!(tried >= 2, "promtool tries {name} {tried} times");
    }
    let page = read("docs/runbooks/README.md");
    let rows: HashSet<String> =
        page.lines().filter(|line| line.starts_with("| [")).map(str::to_owned).collect();
    assert!(rows.len() >= 10, "{rows:?}");
    assert_eq!(rows, told);
}

/// The numbers of a text, as they are written.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let no_number = |letter: char| !letter.is_ascii_digit() && !matches!(letter, ',' | '.');
    text.split(no_number).map(|number| number.trim_matches([',', '.'])).filter(|number| !number.is_empty())
}

#[test]
fn every_figure_of_the_capacity_model_is_one_of_the_benchmarks() {
    let benchmarks = fs::read_to_string(checkout().join("docs/benchmarks.md")).unwrap();
    let measured: HashSet<&str> = numbers(&benchmarks).collect();
    for (name, heading) in
        [("docs/design/README.md", "## The capacity model"), ("docs/design/README.ko.md", "## 용량 모델")]
    {
        let document = fs::read_to_string(checkout().join(name)).unwrap();
        let (_, model) = document.split_once(heading).unwrap();
        // What was measured, and what bounds it.
        let rows = model.lines().filter(|line| line.starts_with('|')).skip(2);
        let cells = rows.flat_map(|row| row.split('|').skip(2).take(2));
        let figures: Vec<&str> = cells.flat_map(numbers).collect();
        assert!(figures.len() >= 10, "{name} has {figures:?}");
        for figure in figures {
            assert!(measured.contains(figure), "{name} says {figure}, which docs/benchmarks.md does not");
        }
    }
}
