//! Passwords and tokens, hashed by PostgreSQL's own `sha256`, iterated.
//!
//! Good enough for a sample that must run on a bare database image; a product uses argon2id.

use crate::db::literal;
use std::io::Read;

const ROUNDS: u32 = 20_000;

/// `count` random bytes in hexadecimal, from the kernel.
pub(crate) fn random_hex(count: usize) -> Result<String, String> {
    let mut bytes = vec![0; count];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| format!("/dev/urandom: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// An SQL expression for the hash of `password` under the salt that `salt_sql` gives.
pub(crate) fn hash_sql(salt_sql: &str, password: &str) -> Result<String, String> {
    let password = literal(password)?;
    Ok(format!(
        "(WITH RECURSIVE step(n, h) AS (\
           SELECT 0, sha256(convert_to({salt_sql} || {password}, 'UTF8')) \
           UNION ALL SELECT n + 1, sha256(h) FROM step WHERE n < {ROUNDS}\
         ) SELECT encode(h, 'hex') FROM step WHERE n = {ROUNDS})"
    ))
}

/// An SQL expression for the hash under which a session's token is stored.
pub(crate) fn token_hash_sql(token: &str) -> Result<String, String> {
    Ok(format!("encode(sha256(convert_to({}, 'UTF8')), 'hex')", literal(token)?))
}
