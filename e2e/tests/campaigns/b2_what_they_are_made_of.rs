//! `bin/sbom` names every program that is shipped, and all that is in it, with version, licence and the checksum that Cargo.lock has.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Programs of these are for who works on bookstock.
const NOT_SHIPPED: [&str; 3] = ["bench", "topology", "xtask"];

/// Name and version.
type Package = (String, String);

/// One run says all.
#[test]
fn every_program_is_told_with_all_that_cargo_builds_into_it() {
    for _ in campaign::runs("B2", 1) {
        succeeds(&mut Command::new(checkout().join("bin/sbom")));
        let locked = locked();
        let metadata = succeeds(cargo().args(["metadata", "--no-deps", "--locked", "--format-version=1"]));
        let metadata: Value = serde_json::from_str(&metadata).unwrap();
        let mut told = 0;
        for package in metadata["packages"].as_array().unwrap() {
            let name = text(&package["name"]);
            let programs: BTreeSet<_> = called(&package["targets"], |target| target["kind"][0] == "bin");
            if programs.is_empty() || NOT_SHIPPED.contains(&name) {
                continue;
            }
            let path = Path::new(text(&metadata["target_directory"])).join(format!("sbom/{name}.cdx.json"));
            let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            assert_eq!((text(&document["bomFormat"]), text(&document["specVersion"])), ("CycloneDX", "1.5"));
            let whole = &document["metadata"]["component"];
            assert_eq!((text(&whole["name"]), &whole["version"]), (name, &package["version"]));
            assert_eq!(called(&whole["components"], |part| part["type"] == "application"), programs);
            let named = is_told(document["components"].as_array().unwrap(), &locked);
            let missing: Vec<_> = built_into(name).into_iter().filter(|part| !named.contains(part)).collect();
            assert_eq!(missing, Vec::<Package>::new(), "{name}");
            told += programs.len();
        }
        assert!(told > 6, "only {told} programs are told");
    }
}

/// What a document names, each with licence and checksum; what is ours has no checksum but the commit's.
fn is_told(components: &[Value], locked: &BTreeMap<Package, Option<String>>) -> BTreeSet<Package> {
    let tell = |component: &Value| {
        let package = (text(&component["name"]).to_owned(), text(&component["version"]).to_owned());
        assert!(component["licenses"][0]["expression"].is_string(), "no licence: {component}");
        let checksum = component["hashes"][0]["content"].as_str();
        assert_eq!(locked[&package].as_deref(), checksum, "{component}");
        package
    };
    components.iter().map(tell).collect()
}

/// Every package that Cargo.lock has, with its checksum if it came from elsewhere.
fn locked() -> BTreeMap<Package, Option<String>> {
    let lock = fs::read_to_string(checkout().join("Cargo.lock")).unwrap();
    let packages = lock.split("[[package]]").skip(1).map(|package| {
        let value = |key: &str| {
            let lines = package.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            lines.map(|value| value.trim_matches('"').to_owned()).next()
        };
        ((value("name").unwrap(), value("version").unwrap()), value("checksum"))
    });
    packages.collect()
}

/// What cargo builds for the programs of a package, but itself.
fn built_into(package: &str) -> BTreeSet<Package> {
    let tree = ["tree", "--locked", "--edges=normal,build", "--prefix=none", "--format={p}", "--package"];
    let told = succeeds(cargo().args(tree).arg(package));
    let packages = told.lines().skip(1).filter_map(|line| line.split_once(' '));
    packages
        .map(|(name, rest)| {
            let version = rest.split(' ').next().unwrap().trim_start_matches('v');
            (name.to_owned(), version.to_owned())
        })
        .collect()
}

/// The names of those among `all` that are as `wanted`.
fn called(all: &Value, wanted: impl Fn(&Value) -> bool) -> BTreeSet<&str> {
    all.as_array().unwrap().iter().filter(|one| wanted(one)).map(|one| text(&one["name"])).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(checkout());
    cargo
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
