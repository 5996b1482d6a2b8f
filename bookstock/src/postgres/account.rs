//! Who runs PostgreSQL: it refuses root, so root lends it another user.

use super::error::ClusterError;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The user that PostgreSQL runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// User and group to change to; `None` if it is the user we are.
    other: Option<(u32, u32)>,
}

impl Account {
    /// Who makes a new cluster.
    pub(super) fn of_a_new_cluster() -> Result<Self, ClusterError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { other: None });
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let ids = entry(&users, "postgres").or_else(|| entry(&users, "nobody"));
        ids.map(|ids| Self { other: Some(ids) }).ok_or(ClusterError::NoAccount)
    }

    /// Who runs the cluster in `directory`: its owner, if we may act for that user.
    pub(super) fn of_the_owner(directory: &Path) -> Result<Self, ClusterError> {
        let not_ours = || ClusterError::NotOurs(directory.to_owned());
        let metadata = directory.metadata().map_err(|_| not_ours())?;
        let we = rustix::process::geteuid();
        match metadata.uid() {
            0 => Err(not_ours()),
            owner if owner == we.as_raw() => Ok(Self { other: None }),
            owner if we.is_root() => Ok(Self { other: Some((owner, metadata.gid())) }),
            _ => Err(not_ours()),
        }
    }

    /// The id of the user.
    pub(super) fn user_id(self) -> u32 {
        self.other.map_or_else(|| rustix::process::geteuid().as_raw(), |(user, _)| user)
    }

    /// Gives a file or directory to the user.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        match self.other {
            Some((user, group)) => chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// A command run by this user in `directory`, with nothing in its environment that changes what PostgreSQL does.
    pub(super) fn command(self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let changes_postgres =
                name.to_str().is_some_and(|name| name.starts_with("PG") || name.starts_with("LC_"));
            if changes_postgres {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir(directory).stdin(Stdio::null());
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }

    /// Whether the user can get into `directory`, which all its parents have to allow. The system is asked, by trying.
    pub(super) fn can_enter(self, directory: &Path) -> bool {
        self.command("true", directory).status().is_ok_and(|status| status.success())
    }
}

/// User and group id of `name` in the text of `/etc/passwd`.
fn entry(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let user = fields.nth(1)?.parse().ok()?;
        Some((user, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\npostgres2:x:9:9::/:/bin/sh\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(entry(users, "postgres"), Some((101, 104)));
        assert_eq!(entry(users, "nobody"), None);
    }

    #[test]
    fn what_the_user_cannot_enter_is_found_out_by_trying() {
        let account = Account::of_a_new_cluster().unwrap();
        let directory = tempfile::tempdir().unwrap();
        assert!(account.can_enter(Path::new("/")));
        assert!(!account.can_enter(&directory.path().join("missing")));
        if account.other.is_some() {
            std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).unwrap();
            assert!(!account.can_enter(directory.path()));
        }
    }
}
