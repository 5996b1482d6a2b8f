//! Other people's clients do to the server what they are made for. `bin/lib/setup.sh` installs them.

use super::process::{PROGRAM, Process};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `bin/test` has installed in the target directory of this test.
fn installed(what: &str) -> PathBuf {
    find(what).unwrap_or_else(|| panic!("{what} is missing in the target directory; bin/test installs it"))
}

/// The Node of the tests if it is there, as it is on most processors.
fn node() -> PathBuf {
    find("node/node").unwrap_or_else(|| "node".into())
}

fn find(what: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().unwrap();
    test.ancestors().map(|directory| directory.join(what)).find(|path| path.exists())
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
    let mut node = Command::new(node());
    node.arg(program("with_kurrentdb_client.mjs"))
        .arg(process.addr.to_string())
        .arg(installed("clients/node"));
    assert_all_works(&mut node);
}

#[test]
fn the_rust_client_eventstore_works() {
    the_rust_client_works("eventstore");
}

/// As the README says it: an authority of one's own, users in a file, and a connection string that names both.
#[test]
fn the_rust_client_eventstore_works_with_a_password_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let authority = CertifiedIssuer::self_signed(authority(), KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let of_server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = of_server.signed_by(&key, &authority).unwrap();
    let ca = file("ca.pem", authority.pem().as_bytes());
    let certificate = file("cert.pem", certificate.pem().as_bytes());
    let key = file("key.pem", key.serialize_pem().as_bytes());
    let hashed = Command::new(PROGRAM)
        .args(["hash-password", "--user", "ann"])
        .stdin(std::fs::File::open(file("password", b"secret\n")).unwrap())
        .output()
        .unwrap();
    let users = file("users", &hashed.stdout);

    let mut server = Command::new(PROGRAM);
    server.arg("--users").arg(users).arg("--tls-certificate").arg(certificate).arg("--tls-key").arg(key);
    let process = Process::start_by(&mut server, &dir.path().join("data"));
    let port = process.addr.port();
    let connection = |password: &str| {
        format!("esdb://ann:{password}@localhost:{port}?tls=true&tlsCaFile={}", ca.display())
    };
    let client = installed("rust-clients/debug/rust-clients");
    assert_all_works(Command::new(&client).args(["eventstore", &connection("secret")]));
    let refused = Command::new(&client).args(["eventstore", &connection("wrong")]).output().unwrap();
    assert!(!refused.status.success());
}

fn authority() -> CertificateParams {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
}

#[test]
fn the_rust_client_kurrentdb_works() {
    the_rust_client_works("kurrentdb");
}

fn the_rust_client_works(client: &str) {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path());
    let mut program = Command::new(installed("rust-clients/debug/rust-clients"));
    assert_all_works(program.arg(client).arg(format!("esdb://{}?tls=false", process.addr)));
}
