//! What a password must be (NIST SP 800-63B): long enough, and not the login. No rules of composition,
//! which make passwords worse.

/// Fewest characters.
pub const MIN_CHARS: usize = 12;
/// Most characters.
pub const MAX_CHARS: usize = 128;

/// Says what is wrong with a new password.
///
/// # Errors
/// A sentence for the person; it never repeats the password.
pub fn check(password: &str, login: &str) -> Result<(), String> {
    let count = password.chars().take(MAX_CHARS + 1).count();
    if !(MIN_CHARS..=MAX_CHARS).contains(&count) {
        return Err(format!(
            "use {MIN_CHARS} to {MAX_CHARS} characters, of whatever kind; several words are good"
        ));
    }
    let name = login.split('@').next().unwrap_or_default();
    let is = |text: &str| password.trim().to_lowercase() == text.to_lowercase();
    if is(login) || is(name) {
        return Err("it is the login, which everybody would try first".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters_and_the_login_is_no_password() {
        let login = "anna.example@example.com";
        for good in
            ["correct horse", "aaaaaaaaaaaa", "ünïcödé-ünïc", &"é".repeat(128), " '; DROP TABLE--"]
        {
            assert_eq!(check(good, login), Ok(()), "{good}");
        }
        for bad in [
            "",
            "short",
            "elevenchars",
            &"é".repeat(129),
            "ANNA.example@EXAMPLE.com",
            " anna.example ",
        ] {
            assert!(check(bad, login).is_err(), "{bad}");
        }
    }
}
