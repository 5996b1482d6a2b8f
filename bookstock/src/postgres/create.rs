//! Makes a new cluster: all of it, or nothing.

use super::account::Account;
use super::binaries::Binaries;
use super::bootstrap::SUPERUSER;
use super::error::{ClusterError, Doing as _};
use super::place::Place;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

/// Makes the cluster beside its place and moves it there when it is complete and on disk.
pub(super) async fn run(binaries: &Binaries, account: &Account, place: &Place) -> Result<(), ClusterError> {
    let unfinished = place.unfinished();
    DirBuilder::new()
        .mode(0o700)
        .create(&unfinished)
        .and_then(|()| account.own(&unfinished))
        .doing(format!("making {}", unfinished.display()))?;
    let mut initdb = account.command(binaries.path("initdb"), &unfinished);
    // Whoever reaches the socket is trusted: its directory lets in nobody else.
    initdb.args(["--auth=trust", "--no-locale", "--encoding=UTF8", "--data-checksums"]);
    initdb.arg(format!("--username={SUPERUSER}")).arg("--pgdata").arg(&unfinished);
    let output = tokio::process::Command::from(initdb).output().await.doing("running initdb")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        return Err(ClusterError::NotCreated(lines.join("; ")));
    }
    place.finish().doing(format!("moving {} to its place", unfinished.display()))
}
