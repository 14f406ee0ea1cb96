//! Tables and properties of a license's status and worth.

use proptest::prelude::*;

use super::{ExpiryStrategy::*, LicenseEvent::*, LicenseStatus::*, *};

#[test]
fn the_whole_table_of_transitions() {
    let fresh = Past { activated: false, over: false };
    let used = Past { activated: true, over: false };
    let late = Past { activated: true, over: true };
    // Per status: Activate, Suspend, Reinstate, Expire, Renew, Revoke, of a license in use.
    let table = [
        (
            PendingDeployment,
            [Some(Active), Some(Suspended), None, Some(Expired), Some(Active), Some(Revoked)],
        ),
        (Active, [Some(Active), Some(Suspended), None, Some(Expired), Some(Active), Some(Revoked)]),
        (Suspended, [Some(Suspended), None, Some(Active), None, Some(Suspended), Some(Revoked)]),
        (Expired, [Some(Expired), Some(Suspended), None, None, Some(Active), Some(Revoked)]),
        (Revoked, [None; 6]),
    ];
    assert_eq!(table.len(), LicenseStatus::ALL.len());
    for (from, row) in table {
        let events = [Activate, Suspend, Reinstate, Expire, Renew, Revoke];
        for (event, to) in events.into_iter().zip(row) {
            assert_eq!(from.after(event, used), to, "{from} {event:?}");
        }
    }
    assert_eq!(Suspended.after(Reinstate, fresh), Some(PendingDeployment));
    assert_eq!(Suspended.after(Reinstate, late), Some(Expired));
    assert_eq!(Expired.after(Renew, fresh), Some(PendingDeployment));
    assert_eq!(Active.after(Renew, late), Some(Expired));
}

#[test]
fn what_a_license_is_worth_by_strategy_and_time() {
    let day = |n: i64| Timestamp::from_millis(n * DAY_SECS * 1000);
    let end = Some(day(100));
    let cases = [
        (Restrict, Active, None, 500, Standing::Valid),
        (Restrict, PendingDeployment, end, 99, Standing::Valid),
        (Restrict, Active, end, 100, Standing::Expired),
        (Grace, Active, end, 99, Standing::Valid),
        (Grace, Active, end, 100, Standing::InGrace { until: Some(day(107)) }),
        (Grace, Expired, end, 106, Standing::InGrace { until: Some(day(107)) }),
        (Grace, Expired, end, 107, Standing::Expired),
        (Allow, Expired, end, 5000, Standing::InGrace { until: None }),
        (Allow, Suspended, end, 5000, Standing::Suspended),
        (Grace, Suspended, end, 1, Standing::Suspended),
        (Grace, Revoked, None, 1, Standing::Revoked),
    ];
    for (strategy, status, expires_at, today, standing) in cases {
        let rule = ExpiryRule { strategy, grace_days: 7 };
        assert_eq!(
            rule.judge(status, expires_at, day(today)),
            standing,
            "{strategy} {status} {today}"
        );
    }
    assert_eq!(Active.at(end, day(100)), Expired);
    assert_eq!(Active.at(end, day(99)), Active);
    assert_eq!(Suspended.at(end, day(200)), Suspended);
}

#[test]
fn when_tenants_are_due() {
    let day = |n: i64| Timestamp::from_millis(n * DAY_SECS * 1000);
    let due = |strategy, status| {
        ExpiryRule { strategy, grace_days: 3 }.tenants_due_at(status, day(10), Some(day(50)))
    };
    assert_eq!(due(Restrict, Suspended), Some(day(10)));
    assert_eq!(due(Grace, Suspended), Some(day(13)));
    assert_eq!(due(Allow, Revoked), Some(day(10)));
    assert_eq!(due(Restrict, Active), Some(day(50)));
    assert_eq!(due(Grace, Expired), Some(day(53)));
    assert_eq!(due(Allow, Expired), None);
}

/// How much a license is worth, as a number that must not rise by time alone.
fn rank(standing: Standing) -> u8 {
    match standing {
        Standing::Valid => 3,
        Standing::InGrace { .. } => 2,
        Standing::Expired => 1,
        Standing::Suspended | Standing::Revoked => 0,
    }
}

proptest! {
    /// Time alone takes worth away and never gives it back; and a lease that ends where the worth
    /// ends is never good for longer than the portal itself would say yes.
    #[test]
    fn time_alone_never_makes_a_license_worth_more(
        strategy in prop::sample::select(ExpiryStrategy::ALL),
        status in prop::sample::select(LicenseStatus::ALL),
        grace_days in 0u32..=MAX_GRACE_DAYS,
        end in prop::option::of(0i64..4_000_000_000_000),
        start in 0i64..4_000_000_000_000,
        steps in prop::collection::vec(0i64..40_000_000_000, 1..20),
    ) {
        let rule = ExpiryRule { strategy, grace_days };
        let end = end.map(Timestamp::from_millis);
        let mut now = Timestamp::from_millis(start);
        let mut before = rank(rule.judge(status, end, now));
        for step in steps {
            now = now.plus_millis(step);
            let standing = rule.judge(status, end, now);
            prop_assert!(rank(standing) <= before);
            before = rank(standing);
            let worth = matches!(standing, Standing::Valid | Standing::InGrace { .. });
            let lost = matches!(status, Suspended | Revoked) || is_over(rule.worthless_at(end), now);
            prop_assert_eq!(worth, !lost);
        }
    }
}
