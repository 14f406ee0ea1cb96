//! Passwords as Argon2id hashes, a few at a time: each takes 19 MiB and tens of milliseconds, so that a
//! flood of logins could otherwise take the memory and the processors from everything else.

use std::{
    num::NonZeroUsize,
    sync::{Condvar, Mutex, PoisonError},
    thread,
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use freehold_protocol::secret::Secret;

use crate::{
    db::lock,
    error::{AppError, Kind},
    keys::mint,
};

/// Memory of one hash, in KiB; with [`PASSES`], the least that OWASP's cheat sheet on password storage
/// recommends.
const MEMORY_KIB: u32 = 19_456;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// Most requests that wait for a turn.
const MAX_WAITING: usize = 32;
/// Seconds after which one that was turned away should come back.
const RETRY_SECS: u32 = 2;
/// Letters of a password that the portal draws: 32 without those that look alike.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of such a password, without hyphens: 100 bits.
const DRAWN_CHARS: usize = 20;

/// Hashes and verifies.
pub struct PasswordHasher {
    argon: Argon2<'static>,
    /// What is verified for a login that does not exist, so that it takes as long.
    dummy: String,
    most: usize,
    turns: Mutex<Turns>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Turns {
    running: usize,
    waiting: usize,
}

/// A turn; dropping it gives it to the next.
struct Turn<'h>(&'h PasswordHasher);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.turns).running -= 1;
        self.0.freed.notify_one();
    }
}

impl std::fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PasswordHasher(at most {} at once)", self.most)
    }
}

/// What every hash with today's parameters starts with.
fn current() -> String {
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$")
}

fn failed(error: &(impl std::fmt::Display + ?Sized)) -> AppError {
    AppError::bug("a password was not hashed").because(error.to_string())
}

impl PasswordHasher {
    /// One that hashes as many at once as there are processors.
    ///
    /// # Errors
    /// Never with the parameters above.
    pub fn new() -> Result<Self, AppError> {
        Self::with_turns(thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }

    fn with_turns(most: usize) -> Result<Self, AppError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|e| failed(&e))?;
        Ok(Self {
            argon: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            // A salt and a hash of zeros: what comes of it does not matter, only the work does.
            dummy: format!("{}{}${}", current(), "A".repeat(22), "A".repeat(43)),
            most,
            turns: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    fn turn(&self) -> Result<Turn<'_>, AppError> {
        let mut turns = lock(&self.turns);
        if turns.running >= self.most {
            if turns.waiting >= MAX_WAITING {
                return Err(AppError::new(
                    Kind::Unavailable { retry_after_secs: RETRY_SECS },
                    "too_many_logins",
                    "too many people log in at this moment",
                )
                .advice("try again in a few seconds"));
            }
            turns.waiting += 1;
            while turns.running >= self.most {
                turns = self.freed.wait(turns).unwrap_or_else(PoisonError::into_inner);
            }
            turns.waiting -= 1;
        }
        turns.running += 1;
        Ok(Turn(self))
    }

    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// 503 when too many wait for it.
    pub fn hash(&self, password: &Secret) -> Result<String, AppError> {
        let _turn = self.turn()?;
        let hash: PasswordHash =
            self.argon.hash_password(password.expose().as_bytes()).map_err(|e| failed(&e))?;
        Ok(hash.to_string())
    }

    /// Whether a password is the one of a hash. Without a hash it is not, and that takes as long to find
    /// out.
    ///
    /// # Errors
    /// 503 when too many wait for it, or a stored hash that is none.
    pub fn is_password(&self, password: &Secret, hash: Option<&str>) -> Result<bool, AppError> {
        let stored = PasswordHash::new(hash.unwrap_or(&self.dummy)).map_err(|e| failed(&e))?;
        let _turn = self.turn()?;
        let same = self.argon.verify_password(password.expose().as_bytes(), &stored).is_ok();
        Ok(same && hash.is_some())
    }

    /// Whether a hash was made with other parameters than new ones are.
    #[must_use]
    pub fn is_outdated(hash: &str) -> bool {
        !hash.starts_with(&current())
    }
}

/// Draws a password that can be read out and typed.
///
/// # Errors
/// When the system gives no random bytes.
pub fn draw() -> Result<Secret, AppError> {
    let mut text = String::with_capacity(DRAWN_CHARS + 3);
    for (n, byte) in mint::random::<DRAWN_CHARS>()?.into_iter().enumerate() {
        if n > 0 && n % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_hash_is_argon2id_with_our_parameters_and_knows_its_password() {
        let hasher = PasswordHasher::with_turns(1).unwrap();
        let hash = hasher.hash(&secret("correct horse")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(!PasswordHasher::is_outdated(&hash));
        assert!(PasswordHasher::is_outdated(&hash.replace("t=2", "t=1")));
        assert_ne!(hash, hasher.hash(&secret("correct horse")).unwrap());
        assert!(hasher.is_password(&secret("correct horse"), Some(&hash)).unwrap());
        assert!(!hasher.is_password(&secret("correct horsE"), Some(&hash)).unwrap());
        assert!(!hasher.is_password(&secret("correct horse"), None).unwrap());
        // The dummy is hashed in earnest.
        let dummy = PasswordHash::new(&hasher.dummy).unwrap();
        let refused = hasher.argon.verify_password(b"x", &dummy).unwrap_err();
        assert_eq!(refused, argon2::password_hash::Error::PasswordInvalid);
        assert!(hasher.is_password(&secret("x"), Some("plain text")).is_err());
    }

    #[test]
    fn a_flood_of_logins_waits_in_a_line_that_ends() {
        let hasher = Arc::new(PasswordHasher::with_turns(1).unwrap());
        let held = hasher.turn().unwrap();
        let waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                let hasher = Arc::clone(&hasher);
                thread::spawn(move || drop(hasher.turn().unwrap()))
            })
            .collect();
        while lock(&hasher.turns).waiting < MAX_WAITING {
            thread::sleep(Duration::from_millis(5));
        }
        let refused = hasher.hash(&secret("correct horse")).unwrap_err();
        assert_eq!(refused.kind, Kind::Unavailable { retry_after_secs: RETRY_SECS });
        drop(held);
        for thread in waiting {
            thread.join().unwrap();
        }
        {
            let turns = lock(&hasher.turns);
            assert_eq!((turns.running, turns.waiting), (0, 0));
        }
        hasher.hash(&secret("correct horse")).unwrap();
    }

    #[test]
    fn drawn_passwords_are_long_and_differ() {
        let (one, other) = (draw().unwrap(), draw().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 23);
        assert!(crate::domain::password::check(one.expose(), "anna@example.com").is_ok());
    }
}
