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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// So many right headers are remembered; then all are forgotten.
const REMEMBERED: usize = 1024;

/// So many passwords are checked at the same time, so that guessing leaves processors for others.
const CHECKED_AT_ONCE: usize = 1;

/// So many more wait to be checked. Without a limit, whoever guesses keeps those who know theirs waiting for longer than they
/// are willing to.
const WAITING: usize = 32;

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
    waiting: Arc<Semaphore>,
    checks: Arc<Semaphore>,
}

/// So many passwords wait to be checked that this one was not.
#[derive(Debug)]
pub(crate) struct Busy;

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
        let waiting = Arc::new(Semaphore::new(CHECKED_AT_ONCE + WAITING));
        let checks = Arc::new(Semaphore::new(CHECKED_AT_ONCE));
        Ok(Self(Arc::new(Known { hashes, salt, right: Mutex::default(), waiting, checks })))
    }

    /// Whether the header `Authorization` names a user with the right password.
    pub(crate) async fn know(&self, header: &[u8]) -> Result<bool, Busy> {
        let known = &self.0;
        let fingerprint: [u8; 32] =
            Sha256::new().chain_update(known.salt.as_bytes()).chain_update(header).finalize().into();
        if known.right.lock().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint) {
            return Ok(true);
        }
        let Some((user, password)) = basic(header) else { return Ok(false) };
        // A name that nobody has takes as long as a wrong password.
        let (hash, exists) = match known.hashes.get(&user) {
            Some(hash) => (hash.clone(), true),
            None => (known.hashes.values().next().cloned().unwrap_or_default(), false),
        };
        let turn = known.turn().await?;
        let checked = tokio::task::spawn_blocking(move || {
            // It is its turn until it is checked, though its caller may have gone away.
            let _turn = turn;
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
        Ok(right)
    }
}

impl Known {
    /// Waits until a password may be checked, if not too many wait already.
    async fn turn(&self) -> Result<[OwnedSemaphorePermit; 2], Busy> {
        let place = self.waiting.clone().try_acquire_owned().map_err(|_| Busy)?;
        let check = self.checks.clone().acquire_owned().await.map_err(|_| Busy)?;
        Ok([place, check])
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
            assert!(users.know(&header("사서", "p:ss")).await.unwrap());
            assert!(!users.know(&header("사서", "pass")).await.unwrap());
        }
        assert!(!users.know(&header("nobody", "p:ss")).await.unwrap());
        for garbage in [&b""[..], b"Basic", b"Basic !", b"Basic cA==", b"Bearer x", b"\xff"] {
            assert!(!users.know(garbage).await.unwrap(), "{garbage:?}");
        }
    }

    #[tokio::test]
    async fn those_who_guess_keep_nobody_waiting_for_long() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), hash_password("ann", "secret").unwrap()).unwrap();
        let users = Users::read(file.path()).unwrap();
        let right = header("ann", "secret");
        assert!(users.know(&right).await.unwrap());

        // One is checked for as long as the test likes, and as many as may wait do so.
        let checked = users.0.turn().await.unwrap();
        let guesses: Vec<_> = (0..WAITING).map(|guess| header("ann", &guess.to_string())).collect();
        let mut guesses: Vec<_> = guesses.iter().map(|guess| Box::pin(users.know(guess))).collect();
        for guess in &mut guesses {
            assert!(futures_util::poll!(guess.as_mut()).is_pending());
        }
        assert!(users.know(&header("ann", "one more")).await.is_err(), "it is not waited for");
        assert!(users.know(&right).await.unwrap(), "who was let in before does not notice");

        // A guess that is given up leaves its place to another.
        drop(guesses.pop());
        drop(checked);
        assert!(users.know(&header("ann", "secret")).await.unwrap());
        let mut new = Box::pin(async { users.know(&header("bob", "secret")).await });
        assert!(futures_util::poll!(new.as_mut()).is_pending(), "it waits for its turn");
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
