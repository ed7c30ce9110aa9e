//! Who may upload: logins and the hashes of their passwords.

use argon2::Argon2;
use argon2::password_hash::phc::{PasswordHash, Salt};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Logins, each with the Argon2id hash of its password.
///
/// One a line: `LOGIN:$argon2id$…`, as [`hash_password`] makes the second half. Empty lines and those
/// that begin with `#` mean nothing.
#[derive(Clone)]
pub struct Passwords(Arc<Table>);

struct Table {
    hashes: BTreeMap<String, String>,
    /// Of nobody's password: an unknown login takes as long to refuse as a known one.
    nobody: String,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.hashes.keys()).finish()
    }
}

/// A file of passwords cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordsError {
    /// A line is not `LOGIN:$argon2id$…`.
    Line(usize),
    /// A login has two lines; this is the second.
    Twice(usize),
    /// There is no line.
    Empty,
    /// The system gives no randomness.
    Hash(HashError),
}

impl fmt::Display for PasswordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line} is not LOGIN:$argon2id$..."),
            Self::Twice(line) => write!(f, "the login of line {line} has a line already"),
            Self::Empty => f.write_str("no login in it"),
            Self::Hash(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PasswordsError {}

impl FromStr for Passwords {
    type Err = PasswordsError;

    fn from_str(text: &str) -> Result<Self, PasswordsError> {
        let mut hashes = BTreeMap::new();
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = PasswordsError::Line(n + 1);
            // A login may have a colon, a hash has none.
            let Some((login, hash)) = line.rsplit_once(':') else {
                return Err(at);
            };
            let known = PasswordHash::new(hash)
                .is_ok_and(|hash| hash.algorithm.as_str() == "argon2id" && hash.hash.is_some());
            if login.is_empty() || !known {
                return Err(at);
            }
            if hashes.insert(login.to_owned(), hash.to_owned()).is_some() {
                return Err(PasswordsError::Twice(n + 1));
            }
        }
        if hashes.is_empty() {
            return Err(PasswordsError::Empty);
        }
        let nobody = hash_password(b"nobody").map_err(PasswordsError::Hash)?;
        Ok(Self(Arc::new(Table { hashes, nobody })))
    }
}

impl Passwords {
    /// Says whether a password is that of a login. Takes some 20 ms and 19 MiB.
    pub(crate) fn are_right(&self, login: &str, password: &str) -> bool {
        let known = self.0.hashes.get(login);
        let hash = known.unwrap_or(&self.0.nobody);
        let right = PasswordHash::new(hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        });
        right && known.is_some()
    }
}

/// A password could not be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashError {
    /// The system gives no randomness.
    Entropy,
    /// The password is longer than Argon2 takes.
    Password,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entropy => "the system gives no randomness",
            Self::Password => "the password cannot be hashed",
        })
    }
}

impl core::error::Error for HashError {}

/// Hashes a password with Argon2id and a new salt, for a line of [`Passwords`].
///
/// # Errors
/// No randomness, or a password beyond what Argon2 takes.
pub fn hash_password(password: &[u8]) -> Result<String, HashError> {
    let mut salt = [0; Salt::RECOMMENDED_LENGTH];
    getrandom::fill(&mut salt).map_err(|_| HashError::Entropy)?;
    let hash = Argon2::default()
        .hash_password_with_salt(password, &salt)
        .map_err(|_| HashError::Password)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_right_for_its_login_alone() {
        let hash = hash_password(b"secret").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        assert_ne!(hash, hash_password(b"secret").unwrap(), "salted");
        let passwords: Passwords = format!("# who\n\nromeo:{hash}\na:b:{hash}\n")
            .parse()
            .unwrap();
        assert!(passwords.are_right("romeo", "secret"));
        assert!(passwords.are_right("a:b", "secret"));
        assert!(!passwords.are_right("romeo", "Secret"));
        assert!(!passwords.are_right("romeo", ""));
        assert!(!passwords.are_right("juliet", "secret"));
        assert!(!passwords.are_right("juliet", "nobody"));
        assert!(!format!("{passwords:?}").contains("argon2"));
    }

    #[test]
    fn lines_that_are_none_are_named() {
        let hash = hash_password(b"x").unwrap();
        for (text, error) in [
            (String::new(), PasswordsError::Empty),
            ("# nobody\n".into(), PasswordsError::Empty),
            ("romeo".into(), PasswordsError::Line(1)),
            ("\nromeo:secret".into(), PasswordsError::Line(2)),
            (format!(":{hash}"), PasswordsError::Line(1)),
            (
                "a:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ".into(),
                PasswordsError::Line(1),
            ),
            (format!("a:{hash}\na:{hash}"), PasswordsError::Twice(2)),
        ] {
            assert_eq!(text.parse::<Passwords>().err(), Some(error), "{text}");
        }
    }
}
