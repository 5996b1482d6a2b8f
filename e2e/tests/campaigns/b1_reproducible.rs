//! A program that is built for shipping in two places has the same bytes in both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The one with the most C in it.
const PROGRAM: &str = "event-store-server";

/// It compiles for many minutes, so the test run has no run of it, and one run says all: `cargo xtask campaign B1 --runs 1`.
#[test]
fn two_builds_of_one_commit_in_two_places_are_the_same() {
    for _ in campaign::runs("B1", 0) {
        let places = tempfile::tempdir().unwrap();
        let built = ["here", "there/and/deeper"].map(|name| built_in(&places.path().join(name)));
        let [here, there] = built.each_ref().map(|program| fs::read(program).unwrap());
        let same = here == there;
        if !same {
            eprintln!("left to be compared: {}", places.keep().display());
        }
        assert!(same, "{} and {} bytes that differ", here.len(), there.len());
    }
}

/// The program, built from what is committed. Its files are as old as their place.
fn built_in(place: &Path) -> PathBuf {
    fs::create_dir_all(place).unwrap();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let archive = place.with_extension("tar");
    let mut git = Command::new("git");
    succeeds(git.arg("-C").arg(checkout).args(["archive", "--output"]).arg(&archive).arg("HEAD"));
    succeeds(Command::new("tar").arg("-xmf").arg(&archive).arg("-C").arg(place));
    let mut dist = Command::new(place.join("bin/dist"));
    succeeds(dist.args(["--package", PROGRAM, "--bin", PROGRAM]));
    place.join("target/dist").join(PROGRAM)
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
