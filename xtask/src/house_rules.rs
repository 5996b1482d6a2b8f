//! Rules that can be read off the source text.

use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// A longer file is asking to be two.
const MAX_LINES: usize = 400;

/// The one crate that may allow unsafe code, in the one module that ADR 0003 argues for.
const MAY_BE_UNSAFE: &str = "event-store";

/// Folders that hold nothing of ours.
const NOT_OURS: [&str; 4] = [".git", ".bookstock", ".topology", "target"];

/// The broken rules of all files under `root`, one line each.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let files = files_under(root)?;
    let mut broken = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        // What is no text is an image or the like.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let name = file.strip_prefix(root).unwrap_or(&file);
        broken.extend(broken_in(name, &text).into_iter().map(|rule| format!("{}: {rule}", name.display())));
    }
    Ok(broken)
}

/// All files of ours under `root`, in order.
pub(crate) fn files_under(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    list(root, &mut files)?;
    files.sort();
    Ok(files)
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() {
            files.push(entry.path());
        } else if kind.is_dir() && !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
            list(&entry.path(), files)?;
        }
    }
    Ok(())
}

fn broken_in(name: &Path, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if text.lines().any(|line| line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>")) {
        broken.push("a conflict was left in it".to_owned());
    }
    if name.extension().is_none_or(|extension| extension != "rs") {
        return broken;
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        broken.push(format!("{lines} lines; over {MAX_LINES} there are two ideas in it"));
    }
    let is_root = name.ends_with("src/lib.rs") || name.ends_with("src/main.rs");
    if is_root && !name.starts_with(MAY_BE_UNSAFE) && !text.contains("#![forbid(unsafe_code)]") {
        broken.push("the crate root lacks #![forbid(unsafe_code)]".to_owned());
    }
    // Spelled in two parts, or this file would break the rule.
    for unfinished in [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")] {
        if text.contains(unfinished) {
            broken.push(format!("{unfinished}) is unfinished work"));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_broken_by(name: &str, text: &str) -> usize {
        broken_in(Path::new(name), text).len()
    }

    #[test]
    fn each_rule_is_seen_to_be_broken() {
        assert_eq!(rules_broken_by("a/src/x.rs", &"\n".repeat(401)), 1);
        assert_eq!(rules_broken_by("domain/src/lib.rs", "//! The rules."), 1);
        assert_eq!(rules_broken_by("a/src/x.rs", concat!("fn f() { todo", "!() }")), 1);
        assert_eq!(rules_broken_by("a/src/x.rs", "<<<<<<< HEAD\n"), 1);
        assert_eq!(rules_broken_by("README.md", "# A\n>>>>>>> theirs\n"), 1);
    }

    #[test]
    fn what_keeps_the_rules_is_left_alone() {
        assert_eq!(rules_broken_by("a/src/x.rs", &"\n".repeat(400)), 0);
        assert_eq!(rules_broken_by("docs/long.md", &"\n".repeat(401)), 0);
        assert_eq!(rules_broken_by("event-store/src/lib.rs", "//! The port."), 0);
        assert_eq!(rules_broken_by("domain/src/lib.rs", "#![forbid(unsafe_code)]"), 0);
    }
}
