//! Other people's clients do to the server what they are made for. `bin/lib/setup.sh` installs them.

use super::process::Process;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `bin/test` has installed beside the build.
fn installed(what: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(target, PathBuf::from);
    let path = target.join(what);
    assert!(path.exists(), "{} is missing; bin/test installs it", path.display());
    path.canonicalize().unwrap()
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn assert_all_works(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("all of it works"), "{said}");
}

#[test]
fn the_python_client_kurrentdbclient_works() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path());
    let mut python = Command::new("python3");
    python
        .arg(program("with_kurrentdbclient.py"))
        .arg(process.addr.to_string())
        .env("PYTHONPATH", installed("clients/python"));
    assert_all_works(&mut python);
}

#[test]
fn the_node_client_kurrentdb_client_works() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path());
    let mut node = Command::new("node");
    node.arg(program("with_kurrentdb_client.mjs"))
        .arg(process.addr.to_string())
        .arg(installed("clients/node"));
    assert_all_works(&mut node);
}

#[test]
fn the_rust_client_eventstore_works() {
    the_rust_client_works("eventstore");
}

#[test]
fn the_rust_client_kurrentdb_works() {
    the_rust_client_works("kurrentdb");
}

fn the_rust_client_works(client: &str) {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path());
    let mut program = Command::new(installed("rust-clients/debug/rust-clients"));
    assert_all_works(program.arg(client).arg(process.addr.to_string()));
}
