//! Who may call: users with passwords, from a file.
//!
//! Passwords are kept as argon2 hashes, which are slow to compute on purpose; a header that was once found right is
//! therefore remembered, by a keyed hash of it.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// So many right headers are remembered; then all are forgotten.
const REMEMBERED: usize = 1024;

/// So many passwords are checked at the same time, so that guessing leaves processors for others.
const CHECKED_AT_ONCE: usize = 1;

/// Why the users are not known.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be read.
    #[error("the users file {} cannot be read: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line says nothing that makes sense.
    #[error("line {line} of the users file {} is not `name:hash`; `event-store-server hash-password --user NAME` prints such a line", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Nobody could get in.
    #[error("the users file {} names nobody; `event-store-server hash-password --user NAME` prints a line for it", .0.display())]
    Nobody(PathBuf),
    /// A name cannot be one.
    #[error("'{0}' cannot be a user's name: it needs one letter or more, and no colon")]
    Name(String),
    /// There is no password.
    #[error("the password is empty; it is read from standard input: `hash-password --user NAME < FILE`")]
    NoPassword,
    /// The password could not be hashed.
    #[error("the password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// The line of the users file for a user and a password.
///
/// # Errors
/// When the name cannot be one, or the password is empty.
pub fn hash_password(user: &str, password: &str) -> Result<String, UsersError> {
    if user.is_empty() || user.contains(':') || user.contains(char::is_control) {
        return Err(UsersError::Name(user.to_owned()));
    }
    if password.is_empty() {
        return Err(UsersError::NoPassword);
    }
    let hash: PasswordHash =
        Argon2::default().hash_password(password.as_bytes()).map_err(UsersError::Hash)?;
    Ok(format!("{user}:{hash}"))
}

/// The users of a server. Clones share what is remembered.
#[derive(Clone, Debug)]
pub(crate) struct Users(Arc<Known>);

#[derive(Debug)]
struct Known {
    hashes: HashMap<String, String>,
    /// What is mixed into remembered headers, new for each process.
    salt: Uuid,
    right: Mutex<HashSet<[u8; 32]>>,
    checks: Semaphore,
}

impl Users {
    pub(crate) fn read(path: &Path) -> Result<Self, UsersError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| UsersError::File { path: path.to_owned(), source })?;
        let mut hashes = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let user = line
                .split_once(':')
                .filter(|(name, hash)| !name.is_empty() && PasswordHash::new(hash).is_ok());
            let Some((name, hash)) = user else {
                return Err(UsersError::Line { path: path.to_owned(), line: index + 1 });
            };
            hashes.insert(name.to_owned(), hash.to_owned());
        }
        if hashes.is_empty() {
            return Err(UsersError::Nobody(path.to_owned()));
        }
        #[expect(clippy::disallowed_methods, reason = "nobody must be able to guess it")]
        let salt = Uuid::new_v4();
        let (right, checks) = (Mutex::default(), Semaphore::new(CHECKED_AT_ONCE));
        Ok(Self(Arc::new(Known { hashes, salt, right, checks })))
    }

    /// Whether the header `Authorization` names a user with the right password.
    pub(crate) async fn know(&self, header: &[u8]) -> bool {
        let known = &self.0;
        let fingerprint: [u8; 32] =
            Sha256::new().chain_update(known.salt.as_bytes()).chain_update(header).finalize().into();
        if known.right.lock().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint) {
            return true;
        }
        let Some((user, password)) = basic(header) else { return false };
        // A name that nobody has takes as long as a wrong password.
        let (hash, exists) = match known.hashes.get(&user) {
            Some(hash) => (hash.clone(), true),
            None => (known.hashes.values().next().cloned().unwrap_or_default(), false),
        };
        let Ok(_turn) = known.checks.acquire().await else { return false };
        let checked = tokio::task::spawn_blocking(move || {
            let hash = PasswordHash::new(&hash).ok()?;
            Argon2::default().verify_password(password.as_bytes(), &hash).ok()
        });
        let right = exists && matches!(checked.await, Ok(Some(())));
        if right {
            let mut remembered = known.right.lock().unwrap_or_else(PoisonError::into_inner);
            if remembered.len() >= REMEMBERED {
                remembered.clear();
            }
            remembered.insert(fingerprint);
        }
        right
    }
}

/// Name and password of basic authentication.
fn basic(header: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(user: &str, password: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))).into_bytes()
    }

    #[tokio::test]
    async fn only_a_user_of_the_file_with_the_right_password_is_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = hash_password("사서", "p:ss").unwrap();
        std::fs::write(file.path(), format!("# staff\n\n{line}\n")).unwrap();
        let users = Users::read(file.path()).unwrap();
        for _ in 0..2 {
            assert!(users.know(&header("사서", "p:ss")).await);
            assert!(!users.know(&header("사서", "pass")).await);
        }
        assert!(!users.know(&header("nobody", "p:ss")).await);
        for garbage in [&b""[..], b"Basic", b"Basic !", b"Basic cA==", b"Bearer x", b"\xff"] {
            assert!(!users.know(garbage).await, "{garbage:?}");
        }
    }

    #[test]
    fn a_users_file_that_makes_no_sense_is_refused_by_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, said) in
            [("", "names nobody"), ("# x\nann:secret\n", "line 2"), (":$argon2id$x\n", "line 1")]
        {
            std::fs::write(file.path(), text).unwrap();
            let error = Users::read(file.path()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(hash_password("a:b", "x").is_err());
        assert!(hash_password("a", "").is_err());
    }
}
