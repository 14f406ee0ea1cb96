//! Who may try a password now: per account, and per network that the tries come from.
//!
//! A try is counted before the password is looked at and taken back once it was right, so that many tries at
//! the same time are no more than many in a row. Logins that do not exist are counted like others, so that
//! the answers do not tell them apart.
//!
//! Counts are kept in memory alone, so that a restart forgets them. OWASP ASVS (4.0.3, 2.2.1) allows 100 failures
//! an hour and account; one takes 17, and six restarts within the hour make 98 of it (a test counts). Whoever can
//! restart the portal more often than that needs no password. Rows for it would be written by strangers, at each
//! guess.

use std::{collections::HashMap, net::IpAddr, sync::Mutex};

use freehold_protocol::time::Timestamp;

use super::throttle::network;
use crate::{
    db::lock,
    domain::lockout::{self, Failures},
    error::{AppError, Kind},
};

/// Failures of one account that cost no wait.
pub const FREE_PER_ACCOUNT: u32 = 5;
/// Failures from one network that cost no wait: an office has many people behind one address.
pub const FREE_PER_NETWORK: u32 = 20;
/// Keys that are remembered; the least guilty are forgotten first.
const MAX_KEYS: usize = 20_000;
/// Most failed logins that the audit log gets in an hour; further ones are in the portal's log alone.
const MAX_AUDITED: u32 = 200;
const HOUR_SECS: i64 = 3_600;

/// What tries are counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Network(IpAddr),
    /// From anywhere.
    Account(String),
    /// From a network that the user has logged in from before: strangers who fail elsewhere in the user's
    /// name do not make it wait here.
    Known(String, IpAddr),
}

/// Counts tries.
#[derive(Debug, Default)]
pub struct LoginGuard {
    failures: Mutex<HashMap<Key, Failures>>,
    audited: Mutex<Audited>,
}

#[derive(Debug, Default)]
struct Audited {
    since: Option<Timestamp>,
    count: u32,
}

/// A try that was counted.
#[derive(Debug)]
#[must_use = "say how it ended"]
pub struct Try {
    account: Key,
    network: Key,
    /// How often the account has failed, this try counted in.
    pub failures: u32,
    /// The seconds that further tries for the account wait if this one fails.
    pub wait_secs: i64,
}

impl LoginGuard {
    /// Counts a try.
    ///
    /// # Errors
    /// 429 with the seconds to wait; then it is not counted.
    pub fn begin(
        &self,
        login: &str,
        peer: IpAddr,
        is_known_network: bool,
        now: Timestamp,
    ) -> Result<Try, AppError> {
        let peer = network(peer);
        let login = login.to_owned();
        let account = if is_known_network { Key::Known(login, peer) } else { Key::Account(login) };
        let network = Key::Network(peer);
        let mut failures = lock(&self.failures);
        let mut of = |key: &Key| {
            failures.get_mut(key).map_or_else(Failures::default, |failures| {
                *failures = failures.seen_at(now);
                *failures
            })
        };
        let waits = [
            of(&account).left_secs(FREE_PER_ACCOUNT, now),
            of(&network).left_secs(FREE_PER_NETWORK, now),
        ];
        if let Some(retry_after_secs) = waits.into_iter().flatten().max() {
            return Err(AppError::new(
                Kind::TooMany { retry_after_secs },
                "login_locked",
                "too many logins have failed lately",
            )
            .advice(format!("wait for {retry_after_secs} seconds, then try again")));
        }
        if failures.len() >= MAX_KEYS {
            make_room(&mut failures, now);
        }
        let mut add = |key: &Key| {
            let failures = failures.entry(key.clone()).or_default();
            *failures = failures.one_more(now);
            failures.count
        };
        add(&network);
        let count = add(&account);
        let wait_secs = lockout::wait_secs(count, FREE_PER_ACCOUNT);
        Ok(Try { account, network, failures: count, wait_secs })
    }

    /// The password was right: the account starts anew. The network does not: an attacker's own account
    /// must not make its tries at others free.
    pub fn succeeded(&self, of: &Try) {
        let mut failures = lock(&self.failures);
        failures.remove(&of.account);
        if let Some(network) = failures.get_mut(&of.network) {
            *network = network.one_less();
        }
    }

    /// It was not found out whether the password was right.
    pub fn undecided(&self, of: &Try) {
        let mut failures = lock(&self.failures);
        for key in [&of.account, &of.network] {
            if let Some(failures) = failures.get_mut(key) {
                *failures = failures.one_less();
            }
        }
    }

    /// Whether a failure is written into the audit log: the first, then each that makes the wait longer up to
    /// the longest, then every tenth, and not more than so many in an hour altogether.
    pub fn is_audited(&self, failures: u32, now: Timestamp) -> bool {
        let steep = failures == 1
            || (FREE_PER_ACCOUNT..FREE_PER_ACCOUNT + 11).contains(&failures)
            || failures.is_multiple_of(10);
        if !steep {
            return false;
        }
        let mut audited = lock(&self.audited);
        let is_over = |since: Timestamp| since > now || now.millis_since(since) > HOUR_SECS * 1000;
        if audited.since.is_none_or(is_over) {
            *audited = Audited { since: Some(now), count: 0 };
        }
        audited.count += 1;
        audited.count <= MAX_AUDITED
    }
}

fn make_room(failures: &mut HashMap<Key, Failures>, now: Timestamp) {
    failures.retain(|_, failures| !failures.is_forgotten(now));
    let mut at_least = 2;
    while failures.len() >= MAX_KEYS {
        failures.retain(|_, failures| failures.count >= at_least);
        at_least *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: &str = "anna@example.com";

    fn fail(guard: &LoginGuard, login: &str, peer: &str, now: Timestamp) -> Option<u32> {
        match guard.begin(login, peer.parse().unwrap(), false, now) {
            Ok(_) => None,
            Err(error) => match error.kind {
                Kind::TooMany { retry_after_secs } => Some(retry_after_secs),
                other => panic!("{other:?}"),
            },
        }
    }

    #[test]
    fn an_account_waits_longer_each_time_wherever_the_tries_come_from() {
        let guard = LoginGuard::default();
        let mut now = Timestamp::from_millis(1_000_000);
        for n in 0..5 {
            assert_eq!(fail(&guard, ANNA, &format!("192.0.2.{n}"), now), None);
        }
        for wait in [1, 2, 4, 8] {
            assert_eq!(fail(&guard, ANNA, "198.51.100.1", now), Some(wait));
            assert_eq!(fail(&guard, "bob@example.com", "198.51.100.9", now), None);
            now = now.plus_secs(i64::from(wait));
            assert_eq!(fail(&guard, ANNA, "198.51.100.1", now), None);
        }
    }

    #[test]
    fn an_account_takes_fewer_guesses_an_hour_than_asvs_allows_through_restarts_too() {
        let guesses = |restarts: i64| {
            let (mut guard, mut count, mut life) = (LoginGuard::default(), 0_u32, 0);
            for sec in 0..HOUR_SECS {
                let now = Timestamp::from_millis(1_000_000).plus_secs(sec);
                if sec * (restarts + 1) / HOUR_SECS > life {
                    (guard, life) = (LoginGuard::default(), life + 1);
                }
                // From a new network each time, so that the account alone makes it wait.
                while guard.begin(ANNA, IpAddr::from(count.to_be_bytes()), false, now).is_ok() {
                    count += 1;
                }
            }
            count
        };
        assert_eq!((guesses(0), guesses(6)), (17, 98));
    }

    #[test]
    fn a_network_waits_however_many_accounts_it_tries() {
        let guard = LoginGuard::default();
        let now = Timestamp::from_millis(1_000_000);
        for n in 0..20 {
            assert_eq!(fail(&guard, &format!("u{n}@example.com"), "2001:db8::1", now), None);
        }
        assert_eq!(fail(&guard, "x@example.com", "2001:db8::2", now), Some(1));
        assert_eq!(fail(&guard, "x@example.com", "2001:db8:0:1::1", now), None);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_longer_and_silences_no_audit() {
        let guard = LoginGuard::default();
        let now = Timestamp::from_millis(1_790_000_000_000);
        for n in 0..7 {
            assert_eq!(fail(&guard, ANNA, &format!("192.0.2.{n}"), now.plus_secs(n * 9)), None);
        }
        while guard.is_audited(1, now) {}
        let before = now.plus_secs(-86_400);
        assert!(guard.is_audited(1, before));
        assert_eq!(fail(&guard, ANNA, "192.0.2.8", before), Some(4));
        assert_eq!(fail(&guard, ANNA, "192.0.2.8", before.plus_secs(4)), None);
    }

    #[test]
    fn strangers_do_not_lock_a_user_out_of_where_it_has_logged_in_before() {
        let guard = LoginGuard::default();
        let now = Timestamp::from_millis(1_000_000);
        for n in 0..5 {
            assert_eq!(fail(&guard, ANNA, &format!("192.0.2.{n}"), now), None);
        }
        let home = "203.0.113.7".parse().unwrap();
        assert!(guard.begin(ANNA, home, false, now).is_err());
        guard.succeeded(&guard.begin(ANNA, home, true, now).unwrap());
        // Guesses from there are counted, too.
        for _ in 0..5 {
            drop(guard.begin(ANNA, home, true, now).unwrap());
        }
        assert!(guard.begin(ANNA, home, true, now).is_err());
    }

    #[test]
    fn a_success_clears_the_account_but_not_the_network() {
        let guard = LoginGuard::default();
        let now = Timestamp::from_millis(1_000_000);
        let peer = "192.0.2.1".parse().unwrap();
        for _ in 0..4 {
            drop(guard.begin(ANNA, peer, false, now).unwrap());
        }
        guard.succeeded(&guard.begin(ANNA, peer, false, now).unwrap());
        assert_eq!(guard.begin(ANNA, peer, false, now).unwrap().failures, 1);
        let network = lock(&guard.failures)[&Key::Network(peer)];
        assert_eq!(network.count, 5);
        let one = guard.begin("bob@example.com", peer, false, now).unwrap();
        guard.undecided(&one);
        assert_eq!(lock(&guard.failures)[&Key::Network(peer)].count, 5);
    }

    #[test]
    fn memory_and_audit_rows_are_bounded() {
        let guard = LoginGuard::default();
        let now = Timestamp::from_millis(1_000_000);
        let victim = "192.0.2.1".parse().unwrap();
        for _ in 0..5 {
            drop(guard.begin(ANNA, victim, false, now).unwrap());
        }
        for n in 0..u32::try_from(MAX_KEYS).unwrap() {
            let peer = IpAddr::from((n + 0x0a00_0000).to_be_bytes());
            drop(guard.begin(&format!("u{n}@example.com"), peer, false, now).unwrap());
        }
        assert!(lock(&guard.failures).len() <= MAX_KEYS + 1);
        // A flood of names does not make the guilty innocent.
        assert!(guard.begin(ANNA, victim, false, now).is_err());

        let audited = (0..1000).filter(|_| guard.is_audited(1, now)).count();
        assert_eq!(audited, MAX_AUDITED as usize);
        let later = now.plus_secs(HOUR_SECS + 1);
        assert!(guard.is_audited(1, later) && !guard.is_audited(3, later));
        assert!(guard.is_audited(FREE_PER_ACCOUNT, later) && guard.is_audited(40, later));
    }
}
