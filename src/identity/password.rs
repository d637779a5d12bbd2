//! Passwords: Argon2id at OWASP's parameters (19 MiB, 2 passes, 1 lane), as PHC strings.
//!
//! Each computation takes 19 MiB and tens of milliseconds, so only a few run at once, off the async threads.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use crate::problem::{Code, Problem};

/// How many computations run at once.
static TURNS: Semaphore = Semaphore::const_new(4);

/// How many may wait for that or be at it: beyond, it would be a flood.
static LINE: Semaphore = Semaphore::const_new(128);

/// What an unknown account is checked against, so that it takes as long as a known one.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| compute("nobody has this password").ok());

fn argon2() -> Argon2<'static> {
    Argon2::new(
        argon2::Algorithm::Argon2id,
        Version::V0x13,
        Params::new(19_456, 2, 1, None).unwrap_or_default(),
    )
}

fn compute(password: &str) -> Result<String, Problem> {
    let hash = argon2()
        .hash_password(password.as_bytes())
        .map_err(|error| Problem::internal(error.to_string()))?;
    Ok(hash.to_string())
}

fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Whether a hash is weaker than those made today: then it is made again when its owner signs in.
pub fn is_weak(hash: &str) -> bool {
    let today = argon2();
    let today = today.params();
    let Ok(parsed) = PasswordHash::new(hash) else {
        return true;
    };
    Params::try_from(&parsed).map_or(true, |params| {
        parsed.algorithm.as_str() != "argon2id"
            || params.m_cost() < today.m_cost()
            || params.t_cost() < today.t_cost()
    })
}

/// The PHC string of a password.
pub async fn hash(password: String) -> Result<String, Problem> {
    in_turn(move || compute(&password)).await?
}

/// Whether the password fits; without a hash as slow and always `false`.
pub async fn verify(password: String, hash: Option<String>) -> Result<bool, Problem> {
    in_turn(move || match hash {
        Some(hash) => matches(&password, &hash),
        None => {
            let _ = NOBODY.as_deref().is_some_and(|nobody| matches(&password, nobody));
            false
        }
    })
    .await
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let _place = LINE
        .try_acquire()
        .map_err(|_| Problem::new(Code::Unavailable, "too many sign in at this moment"))?;
    let _turn = TURNS
        .acquire()
        .await
        .map_err(|_| Problem::new(Code::Unavailable, "shutting down"))?;
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_at_the_recommended_parameters_and_fits_only_its_password() {
        let hash = compute("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(matches("correct horse", &hash));
        assert!(!matches("correct horsf", &hash));
        assert!(!matches("x", "not a hash"));
    }
}
