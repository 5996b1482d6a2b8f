//! `docs/openapi.json` tells of every kind of problem that the code has.

use crate::house_rules::files_under;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::path::Path;

const DOCUMENT: &str = "docs/openapi.json";

/// How a kind is made (service-kit, `problem`), and how its type begins.
const MAKER: &str = "Kind::new(";
const TYPE_PREFIX: &str = "urn:bookstock:problem:";

/// From here on a file is tests, which have kinds of their own.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// What the document lacks, one line each.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut made = BTreeSet::new();
    for file in files_under(root)? {
        let is_code = file.extension().is_some_and(|extension| extension == "rs");
        if is_code && !file.ends_with("problem_kinds.rs") {
            let text =
                std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            made.extend(made_in(&text));
        }
    }
    let document =
        std::fs::read_to_string(root.join(DOCUMENT)).with_context(|| format!("reading {DOCUMENT}"))?;
    Ok(missing_in(&document, &made))
}

fn made_in(text: &str) -> BTreeSet<String> {
    let code = text.split(TESTS).next().unwrap_or_default();
    let made = code.split(MAKER).skip(1);
    made.filter_map(|rest| rest.trim_start().strip_prefix("StatusCode::")?.split('"').nth(1))
        .map(str::to_owned)
        .collect()
}

fn missing_in(document: &str, made: &BTreeSet<String>) -> Vec<String> {
    let told = |name: &&String| document.contains(&format!("\"{TYPE_PREFIX}{name}\""));
    made.iter()
        .filter(|name| !told(name))
        .map(|name| {
            format!(
                "{DOCUMENT}: it does not tell of the problem {name}; no operation says that it may answer so"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_the_document_does_not_tell_of_is_found() {
        let code = "static A: Kind = Kind::new(\n    StatusCode::OK,\n    \"no-book\",\n);\n\
                    static B: Kind = Kind::new(StatusCode::OK, \"no-book-at-all\", Text);\n\
                    #[cfg(test)]\nmod tests {\n    static C: Kind = Kind::new(StatusCode::OK, \"test\", Text);\n";
        let made = made_in(code);
        assert_eq!(made.iter().collect::<Vec<_>>(), ["no-book", "no-book-at-all"]);
        let document = r#"{"enum": ["urn:bookstock:problem:no-book-at-all"]}"#;
        let missing = missing_in(document, &made);
        assert_eq!(missing.len(), 1);
        assert!(missing[0].contains(" no-book;"), "{missing:?}");
    }
}
