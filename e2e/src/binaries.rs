//! Where the programs under test are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What could change a program's behaviour behind a test's back.
const STRANGE: [&str; 23] = [
    "ADMIN_LISTEN",
    "AUTH_AUDIENCE",
    "AUTH_ISSUER",
    "AUTH_KEYS_MAX_AGE",
    "AUTH_PAGE_CLIENT",
    "BOOKSTOCK_TOKEN",
    "COMMAND_API_LISTEN",
    "COPY_FROM_URL",
    "COPY_TO_URL",
    "DATABASE_URL",
    "EVENT_STORE_LISTEN",
    "EVENT_STORE_URL",
    "GATEWAY_LISTEN",
    "GRPC_LISTEN",
    "LOG_FORMAT",
    "NAME",
    "PGDATA",
    "PROJECTOR_LISTEN",
    "PROMETHEUS_CLIENT",
    "PROMETHEUS_CLIENT_SECRET",
    "QUERY_API_LISTEN",
    "READ_DATABASE_URL",
    "RUST_LOG",
];

/// The program `name` of this workspace: in `BOOKSTOCK_BIN_DIR` if that is set, else beside the running test in the
/// target directory. Cargo does not build another package's programs for a test.
///
/// # Panics
/// When it is not there; the message says how to build it.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let dir = env::var_os("BOOKSTOCK_BIN_DIR")
        .map_or_else(|| env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned(), PathBuf::from);
    let path = dir.join(name);
    assert!(
        path.exists(),
        "these tests need {}: run `cargo build --workspace` first (with --release if the tests are run so), or set \
         BOOKSTOCK_BIN_DIR",
        path.display()
    );
    path
}

/// What `bin/test` has installed in the target directory of the running test.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn installed(what: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    above(&test, what)
        .unwrap_or_else(|| panic!("{what} is missing in the target directory; bin/test installs it"))
}

/// The Node that `bin/test` has installed in the target directory of the running test, else the one in the `PATH`: what
/// Debian 12 has is too old.
pub(crate) fn node() -> PathBuf {
    node_of(&env::current_exe().unwrap())
}

fn node_of(test: &Path) -> PathBuf {
    above(test, "node/node").unwrap_or_else(|| "node".into())
}

/// `what` in the nearest directory above `test` that has it. There may be one for the processor between.
fn above(test: &Path, what: &str) -> Option<PathBuf> {
    test.ancestors().map(|directory| directory.join(what)).find(|path| path.exists())
}

/// A command that runs the program `name`, with nothing of our own environment that would configure it. Where it listens
/// for gRPC, several may.
#[must_use]
pub fn command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    undisturbed(&mut command);
    command.env("GRPC_LISTEN", "127.0.0.1:0");
    command
}

/// Takes away what of our own environment would configure what it runs.
pub(crate) fn undisturbed(command: &mut Command) {
    for variable in STRANGE {
        command.env_remove(variable);
    }
    for (variable, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"OTEL_")) {
        command.env_remove(variable);
    }
}

#[cfg(test)]
mod tests {
    use super::node_of;
    use std::fs;
    use std::path::Path;

    #[test]
    fn node_is_the_one_in_the_target_directory_else_the_one_in_the_path() {
        let target = tempfile::tempdir().unwrap();
        let test = target.path().join("release/deps/a_test");
        assert_eq!(node_of(&test), Path::new("node"));

        let installed = target.path().join("node/node");
        fs::create_dir_all(installed.parent().unwrap()).unwrap();
        fs::write(&installed, "").unwrap();
        assert_eq!(node_of(&test), installed);
    }
}
